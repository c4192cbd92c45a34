// SPDX-License-Identifier: Apache-2.0
#include "tools/cpio/pack.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"
#include "tools/cpio/archive.h"

namespace pando::cpio {
namespace {

namespace fs = std::filesystem;

constexpr size_t kPiece = 256 * 1024;
constexpr int kGzipLevel = 1;  // the guest unpacks once; packing is what one waits for

struct GzipClose {
  void operator()(gzFile file) const { gzclose(file); }
};

// A file beside `path` that takes its place on commit().
class Output {
 public:
  Output(std::string path, Compression compression)
      : path_(std::move(path)), temporary_(path_ + ".part" + std::to_string(getpid())) {
    UniqueFd fd(::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
    if (!fd)
      throw UserError(path_ + ": cannot be written (" + std::string(std::strerror(errno)) +
                      "); choose another -o FILE");
    const std::string mode =
        compression == Compression::Gzip ? "wb" + std::to_string(kGzipLevel) : "wbT";
    file_.reset(gzdopen(fd.release(), mode.c_str()));
    CHECK(file_ != nullptr);
  }
  ~Output() {
    if (!committed_) ::unlink(temporary_.c_str());
  }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  // Of the file in the making.
  struct stat status() const {
    struct stat out {};
    check_errno(::stat(temporary_.c_str(), &out), ("stat " + temporary_).c_str());
    return out;
  }
  void write(std::string_view bytes) {
    if (bytes.empty()) return;
    const int put = gzwrite(file_.get(), bytes.data(), static_cast<unsigned>(bytes.size()));
    if (put != static_cast<int>(bytes.size())) throw HostError("write " + path_, errno);
  }
  uint64_t commit() {
    if (gzclose(file_.release()) != Z_OK) throw HostError("write " + path_, errno);
    check_errno(::rename(temporary_.c_str(), path_.c_str()), ("rename to " + path_).c_str());
    committed_ = true;
    return fs::file_size(path_);
  }

 private:
  std::string path_, temporary_;
  std::unique_ptr<gzFile_s, GzipClose> file_;
  bool committed_ = false;
};

class Packer {
 public:
  Packer(std::string folder, Archive& archive, std::vector<struct stat> outputs)
      : folder_(std::move(folder)), archive_(archive), outputs_(std::move(outputs)) {}

  uint64_t pack() {
    struct stat root {};
    check_errno(::stat(folder_.c_str(), &root), ("stat " + folder_).c_str());
    device_ = root.st_dev;
    pack_children("");
    return entries_;
  }

 private:
  void pack_children(const std::string& inner) {
    std::vector<std::string> names;
    for (const auto& item : fs::directory_iterator(folder_ + "/" + inner))
      names.push_back(item.path().filename());
    std::sort(names.begin(), names.end());  // the same folder gives the same archive
    for (const std::string& name : names) pack_one(inner.empty() ? name : inner + "/" + name);
  }

  void pack_one(const std::string& inner) {
    const std::string path = folder_ + "/" + inner;
    struct stat status {};
    check_errno(::lstat(path.c_str(), &status), ("lstat " + path).c_str());
    if (S_ISSOCK(status.st_mode) || is_output(status)) return;
    ++entries_;
    const Entry entry = describe(inner, status);
    if (S_ISREG(status.st_mode)) return pack_file(entry, path, status);
    if (S_ISLNK(status.st_mode)) return archive_.add(entry, fs::read_symlink(path).string());
    archive_.add(entry);
    if (S_ISDIR(status.st_mode) && status.st_dev == device_) pack_children(inner);
  }

  // The archive itself, old or in the making, when it lies in the folder.
  bool is_output(const struct stat& status) const {
    return std::any_of(outputs_.begin(), outputs_.end(), [&](const struct stat& output) {
      return status.st_dev == output.st_dev && status.st_ino == output.st_ino;
    });
  }

  // Hard links become equal inode numbers; the content stands with the first of them.
  Entry describe(const std::string& inner, const struct stat& status) {
    Entry entry{.name = inner,
                .mode = status.st_mode,
                .uid = status.st_uid,
                .gid = status.st_gid,
                .mtime = static_cast<uint32_t>(status.st_mtime)};
    entry.device_major = major(status.st_rdev);
    entry.device_minor = minor(status.st_rdev);
    if (S_ISDIR(status.st_mode)) entry.links = 2;
    if (S_ISREG(status.st_mode) && status.st_nlink > 1) {
      entry.links = static_cast<uint32_t>(status.st_nlink);
      const auto next = static_cast<uint32_t>(linked_.size() + 1);
      entry.inode = linked_.try_emplace({status.st_dev, status.st_ino}, next).first->second;
    }
    return entry;
  }

  void pack_file(const Entry& entry, const std::string& path, const struct stat& status) {
    // The kernel takes the content of a hard link from the first name that has one.
    if (entry.links > 1 && !contents_.insert(entry.inode).second) return archive_.add(entry);
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd)
      throw UserError(path + ": cannot be read (" + std::string(std::strerror(errno)) +
                      "); run as its owner");
    archive_.begin(entry, static_cast<uint64_t>(status.st_size));
    uint64_t left = static_cast<uint64_t>(status.st_size);
    while (left > 0) {
      const ssize_t got =
          ::read(fd.get(), buffer_.data(), std::min<uint64_t>(left, buffer_.size()));
      if (check_errno(got, ("read " + path).c_str()) == 0) {
        throw UserError(path +
                        ": became shorter while it was packed; pack a folder that nobody changes");
      }
      archive_.append({buffer_.data(), static_cast<size_t>(got)});
      left -= static_cast<uint64_t>(got);
    }
  }

  std::string folder_;
  Archive& archive_;
  std::vector<struct stat> outputs_;
  dev_t device_ = 0;
  uint64_t entries_ = 0;
  std::vector<char> buffer_ = std::vector<char>(kPiece);
  std::map<std::pair<dev_t, ino_t>, uint32_t> linked_;
  std::set<uint32_t> contents_;  // inode numbers whose content is in the archive
};

}  // namespace

Packed pack_folder(const std::string& folder, const std::string& output, Compression compression) {
  if (!fs::is_directory(folder)) {
    throw UserError(folder + ": is not a folder; name the folder that becomes the guest's root");
  }
  std::vector<struct stat> outputs(1);
  if (::stat(output.c_str(), &outputs.front()) != 0) outputs.clear();
  Output file(output, compression);
  outputs.push_back(file.status());
  Archive archive([&file](std::string_view bytes) { file.write(bytes); });
  Packed packed;
  packed.entries = Packer(folder, archive, std::move(outputs)).pack();
  archive.finish();
  packed.archive_bytes = file.commit();
  return packed;
}

}  // namespace pando::cpio
