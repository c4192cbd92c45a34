// SPDX-License-Identifier: Apache-2.0
#include "tests/model/core_steps.h"

#include <array>

namespace pando::dsm {
namespace {

using enum CacheState;

bool receives(const CacheEvent& event, MessageType type) {
  return event.type == CacheEventType::Receive && event.message.type == type;
}

bool upgrading(const CacheEntry& entry) {
  return entry.state == SM_A || entry.state == OM_A;
}
bool evicting(const CacheEntry& entry) {
  return entry.state == MI_A || entry.state == OI_A;
}

// Copies the actions, changed or left out by edit(Action&) -> keep it?
template <class Edit>
void edit_actions(ActionList& out, Edit edit) {
  ActionList edited;
  for (Action a : out) {
    if (edit(a)) edited.push(a);
  }
  out = edited;
}

void leave_out(ActionList& out, ActionType type) {
  edit_actions(out, [type](const Action& a) { return a.type != type; });
}

Message ack_for(const CacheEvent& event) {
  Message ack = event.message;
  ack.type = MessageType::InvAck;
  return ack;
}

// Arguments of the two steps, so that a mutant is one small function.
struct HomeCall {
  const CoreConfig& config;
  DirectoryEntry& entry;
  HomeTransaction& txn;
  NodeId from;
  Message message;
  HomeHint hint;
  ActionList& out;
  StepResult run() { return home_step(config, entry, txn, from, message, hint, out); }
};

struct CacheCall {
  const CoreConfig& config;
  const CachePage& page;
  CacheEntry& entry;
  CacheTransaction& txn;
  CacheEvent event;
  ActionList& out;
  StepResult run() { return cache_step(config, page, entry, txn, event, out); }
};

StepResult no_queue(HomeCall& c) {
  if (c.message.type != MessageType::Done) c.txn.active = NodeSet();
  return c.run();
}

StepResult trusts_claim(HomeCall& c) {
  if (c.message.type == MessageType::GetM && c.message.version != kNoCopy) {
    if (!c.entry.is_owner(c.from)) c.entry.sharers.add(c.from);
    c.message.version = c.entry.version;
  }
  return c.run();
}

StepResult loses_put(HomeCall& c) {
  const StepResult r = c.run();
  leave_out(c.out, ActionType::StoreMemory);
  return r;
}

StepResult accepts_stale_put(HomeCall& c) {
  if (c.message.type == MessageType::Put) c.entry.owner = c.from.value();
  return c.run();
}

StepResult exclusive_despite_readers(HomeCall& c) {
  if (c.message.type == MessageType::GetS && c.txn.idle()) {
    c.entry.migratory = true;
    c.entry.sharers = NodeSet();
  }
  return c.run();
}

StepResult forgets_one_inv(HomeCall& c) {
  const StepResult r = c.run();
  bool lost = false;
  edit_actions(c.out, [&lost](Action& a) {
    if (a.message.type == MessageType::Inv && !lost) {
      lost = true;
      return false;
    }
    return true;
  });
  if (lost)
    edit_actions(c.out, [](Action& a) { return a.message.acks == 0 || (a.message.acks--, true); });
  return r;
}

StepResult no_wait_for_acks(CacheCall& c) {
  if (receives(c.event, MessageType::InvAck)) return {};
  if (receives(c.event, MessageType::Data) || receives(c.event, MessageType::Grant))
    c.event.message.acks = 0;
  return c.run();
}

StepResult loses_inv_in_upgrade(CacheCall& c) {
  if (!receives(c.event, MessageType::Inv) || !upgrading(c.entry)) return c.run();
  c.out.send(c.event.message.requester, ack_for(c.event));
  return {};
}

StepResult keeps_mapping_on_forward(CacheCall& c) {
  const StepResult r = c.run();
  edit_actions(c.out, [](Action& a) {
    if (a.payload == Payload::Move) a.payload = Payload::Copy;
    return true;
  });
  return r;
}

StepResult no_write_protect(CacheCall& c) {
  const StepResult r = c.run();
  leave_out(c.out, ActionType::Downgrade);
  return r;
}

StepResult acks_without_zap(CacheCall& c) {
  const bool inv = receives(c.event, MessageType::Inv);
  const StepResult r = c.run();
  if (inv) leave_out(c.out, ActionType::Zap);
  return r;
}

StepResult home_evicts_own_page(CacheCall& c) {
  const bool mine = c.event.type == CacheEventType::Evict && c.entry.state == S;
  if (!mine || c.page.home != c.config.self) return c.run();
  c.out.simple(ActionType::Zap);
  c.entry = CacheEntry{kNoCopy, c.entry.slot, I, false};
  return {};
}

StepResult drops_owned_page(CacheCall& c) {
  const bool owned = c.entry.state == O || c.entry.state == M;
  if (c.event.type != CacheEventType::Evict || !owned || c.page.home == c.config.self)
    return c.run();
  c.out.simple(ActionType::Zap);
  c.entry = CacheEntry{kNoCopy, c.entry.slot, I, false};
  return {};
}

StepResult early_done(CacheCall& c) {
  const bool data = receives(c.event, MessageType::Data);
  const StepResult r = c.run();
  if (r.ok() && data && c.entry.state == IM_AD) {
    Message done = c.event.message;
    done.type = MessageType::Done;
    c.out.send(c.page.home, done);
  }
  return r;
}

StepResult forgets_parked(CacheCall& c) {
  if (c.event.type == CacheEventType::HoldExpired) c.txn.parked = 0;
  return c.run();
}

StepResult evicts_deaf(CacheCall& c) {
  const bool forward = receives(c.event, MessageType::FwdS) || receives(c.event, MessageType::FwdM);
  if (forward && evicting(c.entry)) return {};
  return c.run();
}

StepResult counts_ack_twice(CacheCall& c) {
  const bool ack = receives(c.event, MessageType::InvAck);
  const StepResult first = c.run();
  if (!ack || c.txn.request.value() == 0) return first;
  NodeSet missing = NodeSet::all(c.config.nodes);
  missing.remove(c.config.self);
  c.txn.acked.each([&](NodeId n) { missing.remove(n); });
  if (missing.empty()) return first;
  missing.each([&](NodeId n) { c.event.from = n; });
  c.run();
  return first;
}

StepResult closes_over_readers(HomeCall& c) {
  const StepResult r = c.run();
  const bool waits = !c.txn.active.empty();
  edit_actions(c.out, [&](Action& a) {
    a.message.closed = a.message.closed || (waits && a.message.type == MessageType::Data);
    return true;
  });
  return r;
}

StepResult closes_at_once(HomeCall& c) {
  const StepResult r = c.run();
  bool closed = false;
  for (const Action& a : c.out) closed |= a.message.closed && a.message.type != MessageType::Data;
  if (closed) c.txn.active = NodeSet();
  return r;
}

// Data that is not marked travels on the other stream; the requester knows all the same that it is
// to send no Done.
void unmark(ActionList& out) {
  edit_actions(out, [](Action& a) {
    if (a.message.type == MessageType::Data && a.message.acks == 0) a.message.closed = false;
    return true;
  });
}

StepResult closed_on_bulk(HomeCall& c) {
  c.hint.many = false;
  const StepResult r = c.run();
  unmark(c.out);
  return r;
}

StepResult closed_on_bulk(CacheCall& c) {
  const bool from_home = receives(c.event, MessageType::Data) && c.event.from == c.page.home &&
                         c.config.self != c.page.home && c.event.message.acks == 0;
  const StepResult r = c.run();
  unmark(c.out);
  if (from_home) edit_actions(c.out, [](Action& a) { return a.message.type != MessageType::Done; });
  return r;
}

StepResult closes_without_done(CacheCall& c) {
  const StepResult r = c.run();
  edit_actions(c.out, [&c](Action& a) {
    return a.message.type != MessageType::Done || a.message.requester == c.config.self;
  });
  return r;
}

struct Mutant {
  MutantInfo info;
  StepResult (*home)(HomeCall&) = nullptr;
  StepResult (*cache)(CacheCall&) = nullptr;
};

constexpr Mutant kMutants[] = {
    {{"no-queue", "requests wait while a page is busy"}, no_queue},
    {{"trusts-claim", "the home judges itself whether the requester has a copy"}, trusts_claim},
    {{"loses-put", "a Put of the owner reaches the memory"}, loses_put},
    {{"accepts-stale-put", "a Put of a former owner is void"}, accepts_stale_put},
    {{"exclusive-despite-readers", "exclusive grants need a page without readers"},
     exclusive_despite_readers},
    {{"forgets-one-inv", "every reader is invalidated"}, forgets_one_inv},
    {{"no-wait-for-acks", "a writer waits for all acknowledgements"}, nullptr, no_wait_for_acks},
    {{"loses-inv-in-upgrade", "an Inv that overtakes the Grant revokes the copy"},
     nullptr,
     loses_inv_in_upgrade},
    {{"keeps-mapping-on-forward", "FwdM revokes the mappings"}, nullptr, keeps_mapping_on_forward},
    {{"no-write-protect", "FwdS write-protects the owner"}, nullptr, no_write_protect},
    {{"acks-without-zap", "an acknowledged copy is gone"}, nullptr, acks_without_zap},
    {{"home-evicts-own-page", "the home's page is the directory's memory"},
     nullptr,
     home_evicts_own_page},
    {{"drops-owned-page", "an owner leaves by Put"}, nullptr, drops_owned_page},
    {{"early-done", "Done is sent at installation"}, nullptr, early_done},
    {{"forgets-parked", "what was parked is served when the hold ends"}, nullptr, forgets_parked},
    {{"evicts-deaf", "an owner answers forwards while its Put is under way"}, nullptr, evicts_deaf},
    {{"closes-over-readers", "a request that waits for other nodes is not closed"},
     closes_over_readers},
    {{"closes-at-once", "the home is busy until its own cache has answered"}, closes_at_once},
    {{"closed-on-bulk", "what follows a closed request does not overtake its content"},
     closed_on_bulk,
     closed_on_bulk},
    {{"closes-without-done", "the home's cache tells the home"}, nullptr, closes_without_done},
    {{"counts-ack-twice", "each acknowledgement counts once"}, nullptr, counts_ack_twice},
};
constexpr size_t kMutantCount = std::size(kMutants);

class MutantCore : public CoreSteps {
 public:
  explicit MutantCore(const Mutant& mutant) : mutant_(mutant) {}

  StepResult home(const CoreConfig& config, DirectoryEntry& entry, HomeTransaction& txn,
                  NodeId from, const Message& message, HomeHint hint,
                  ActionList& out) const override {
    HomeCall call{config, entry, txn, from, message, hint, out};
    return mutant_.home != nullptr ? mutant_.home(call) : call.run();
  }
  StepResult cache(const CoreConfig& config, const CachePage& page, CacheEntry& entry,
                   CacheTransaction& txn, const CacheEvent& event, ActionList& out) const override {
    CacheCall call{config, page, entry, txn, event, out};
    return mutant_.cache != nullptr ? mutant_.cache(call) : call.run();
  }

 private:
  const Mutant& mutant_;
};

}  // namespace

std::span<const MutantInfo> all_mutants() {
  static const auto infos = [] {
    std::array<MutantInfo, kMutantCount> list;
    for (size_t i = 0; i < kMutantCount; ++i) list[i] = kMutants[i].info;
    return list;
  }();
  return infos;
}

std::unique_ptr<CoreSteps> make_core(std::string_view mutant) {
  if (mutant.empty()) return std::make_unique<CoreSteps>();
  for (const Mutant& m : kMutants) {
    if (m.info.name == mutant) return std::make_unique<MutantCore>(m);
  }
  return nullptr;
}

}  // namespace pando::dsm
