// SPDX-License-Identifier: Apache-2.0
#include "tools/pando/ending.h"

#include <cstdio>

#include "tools/pando/command.h"

namespace pando::cli {
namespace {

using cluster::Outcome;
using cluster::Session;

constexpr int kExitOutputClosed = 141;  // as a program killed by SIGPIPE has it in a shell
constexpr int kTailLines = 40;

std::string last_lines(const std::string& text, int lines) {
  size_t at = text.size();
  for (int i = 0; i <= lines && at != 0; ++i) {
    const size_t before = text.rfind('\n', at - 1);
    if (before == text.npos) return text;
    at = before;
  }
  return text.substr(at + (at < text.size() && text[at] == '\n' ? 1 : 0));
}

Outcome end_for(Session& session, Session::Until why) {
  switch (why) {
    case Session::Until::Interrupted:
      session.end("interrupted by the operator");
      return {cluster::kExitInterrupted, "interrupted; the cluster was shut down"};
    case Session::Until::TimeLimit:
      session.end("the time limit was reached");
      return {cluster::kExitTimeLimit, "the time limit was reached; the cluster was shut down"};
    case Session::Until::OutputClosed:
      session.end("nobody reads the output any more");
      return {kExitOutputClosed, ""};
    default:
      return session.end("");
  }
}

}  // namespace

Outcome finish(Session& session, cluster::Attachment& attachment, Session::Until why) {
  const Outcome outcome = end_for(session, why);
  session.drain(attachment);
  attachment.finish(std::chrono::milliseconds(0));
  if (attachment.lost_bytes() > 0) {
    tell(std::to_string(attachment.lost_bytes()) +
         " bytes of output were lost: they came faster than they were read");
  }
  if (outcome.code == cluster::kExitPanic) {
    tell("last lines of the guest's console:");
    std::fprintf(stderr, "%s\n", last_lines(attachment.console_tail(), kTailLines).c_str());
  }
  if (!outcome.sentence.empty()) tell(outcome.sentence);
  return outcome;
}

}  // namespace pando::cli
