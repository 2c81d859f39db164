// The parser's own side: a StackParser behind a socket, in a sandbox.
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstring>

#include "daemon/inspect/parser/parser.h"
#include "daemon/inspect/parser/sandbox.h"
#include "daemon/inspect/parser/stack_parser.h"

namespace loiter {
namespace {

constexpr size_t kMaxRequest = 256 << 20;

ModuleFacts add(StackParser& parser, ParserOp op, ModuleKey key, Fd file) {
  switch (op) {
    case ParserOp::add_module:
      return parser.add_module(key, std::move(file));
    case ParserOp::add_debug_file:
      return parser.add_debug_file(key, std::move(file));
    case ParserOp::add_supplement:
      return parser.add_supplement(key, std::move(file));
    default:
      return parser.add_perf_map(key, std::move(file));
  }
}

std::string serve(StackParser& parser, const std::vector<std::byte>& message, Fd file,
                  std::span<const std::byte> memory) {
  ParserRequest head;
  if (message.size() < sizeof(head)) return {};
  std::memcpy(&head, message.data(), sizeof(head));
  switch (head.op) {
    case ParserOp::add_module:
    case ParserOp::add_debug_file:
    case ParserOp::add_supplement:
    case ParserOp::add_perf_map:
      return encode_facts(add(parser, head.op, head.key, std::move(file)));
    case ParserOp::forget:
      parser.forget(head.key);
      return {};
    case ParserOp::unwind: {
      std::vector<SharedJob> jobs;
      UnwindRequest request;
      if (!decode_unwind_request(message, memory, jobs, request)) return {};
      return encode_reply(parser.unwind(request));
    }
    case ParserOp::find_symbols: {
      std::vector<std::string> names;
      if (!decode_symbols_request(message, names)) return {};
      return encode_symbols(parser.find_symbols(head.key, names));
    }
  }
  return {};
}

}  // namespace

int run_parser_child() {
  prctl(PR_SET_NAME, "loiter-parser");
  signal(SIGPIPE, SIG_IGN);
  void* mapped = mmap(nullptr, SharedMemory::kSize, PROT_READ, MAP_SHARED, kHelperMemoryFd, 0);
  if (mapped == MAP_FAILED) return 3;
  if (!enter_sandbox({})) return 3;
  std::span<const std::byte> memory(static_cast<const std::byte*>(mapped), SharedMemory::kSize);
  StackParser::Limits limits;
  limits.fd_prefix = "/";  // the sandbox' root is the directory of its descriptors
  StackParser parser(limits);
  std::vector<std::byte> message;
  Fd file;
  while (helper_receive(kHelperSocketFd, message, kMaxRequest, &file)) {
    std::string reply = serve(parser, message, std::move(file), memory);
    if (!helper_send(kHelperSocketFd, reply.data(), reply.size())) break;
  }
  return 0;
}

}  // namespace loiter
