#include "tests/lib/unpacked.h"

#include <filesystem>
#include <stdexcept>

#include "tests/lib/paths.h"

namespace loiter::test {
namespace {

namespace fs = std::filesystem;

std::string root() {
  return build_dir() + "/servers/root";
}

// The one directory of that kind, whatever the architecture or the version.
std::string directory_in(const std::string& parent, const std::string& part) {
  if (fs::exists(parent))
    for (const fs::directory_entry& entry : fs::directory_iterator(parent))
      if (entry.path().filename().string().find(part) != std::string::npos) return entry.path();
  throw std::runtime_error(parent + " holds no " + part);
}

// As who has them at /mnt sees them.
std::string at_mnt(const std::string& path) {
  return "/mnt" + path.substr(root().size());
}

}  // namespace

bool servers_are_there(bool all) {
  return fs::exists(build_dir() + "/servers/have/" + (all ? "openssh-server" : "dbus-daemon"));
}

std::string program(const std::string& path_in_usr) {
  return root() + "/usr/" + path_in_usr;
}

std::string libraries() {
  return directory_in(root() + "/usr/lib", "-linux-gnu");
}

std::vector<std::string> with_libraries(const std::vector<std::string>& argv) {
  std::vector<std::string> made{"/usr/bin/env",
                                "LD_LIBRARY_PATH=" + libraries() + ":" + libraries() + "/pulseaudio"};
  made.insert(made.end(), argv.begin(), argv.end());
  return made;
}

std::vector<std::string> as_nobody(const std::vector<std::string>& argv) {
  constexpr const char* kScript =
      "mount --bind \"$0\" /mnt && libraries=$1 && shift && "
      "exec setpriv --reuid=65534 --regid=65534 --clear-groups --pdeathsig=KILL "
      "env LD_LIBRARY_PATH=\"$libraries\" \"$@\"";
  std::vector<std::string> made{
      "/usr/bin/unshare", "--mount", "--propagation=private", "/bin/sh", "-c", kScript, root(),
      at_mnt(libraries())};
  made.insert(made.end(), argv.begin(), argv.end());
  return made;
}

std::string postgres_bin() {
  return at_mnt(directory_in(root() + "/usr/lib/postgresql", "1")) + "/bin/";
}

}  // namespace loiter::test
