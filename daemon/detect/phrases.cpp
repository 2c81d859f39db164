#include "daemon/detect/phrases.h"

#include "daemon/base/duration.h"
#include "daemon/model/syscalls.h"

namespace loiter {

std::string counted(size_t count, const char* singular, const char* plural) {
  return std::to_string(count) + ' ' + (count == 1 ? singular : plural);
}

namespace {

std::string call_of(const CaseThread& of) {
  if (of.thread->syscall < 0) return "";
  return syscall_name(of.thread->syscall, of.thread->compat) + "()";
}

std::string in_brackets(const std::string& text) {
  return text.empty() ? "" : " (" + text + ")";
}

std::string at(const std::string& object) {
  return object.empty() ? "" : " at " + object;
}

}  // namespace

std::string wait_phrase(const CaseThread& of) {
  const Wait* wait = of.wait();
  if (!wait) return of.thread->syscall < 0 ? to_string(of.thread->state) : call_of(of);
  switch (wait->kind) {
    case WaitKind::lock:
      return "a lock" + in_brackets(wait->detail) + at(wait->object);
    case WaitKind::condvar:
      return "a condition variable" + at(wait->object);
    case WaitKind::semaphore:
      return "a semaphore" + at(wait->object);
    case WaitKind::barrier:
      return "a barrier" + at(wait->object);
    case WaitKind::futex:
      return "a futex" + at(wait->object);
    case WaitKind::join:
      return "a thread to end";
    case WaitKind::wait_child:
    case WaitKind::vfork:
      return "a child process" + in_brackets(wait->object);
    case WaitKind::file_lock:
      return "a lock on a file" + in_brackets(wait->object);
    default:
      break;
  }
  const std::string call = call_of(of);
  if (!wait->object.empty()) return (call.empty() ? to_string(wait->kind) : call) + " on " + wait->object;
  return call.empty() ? std::string(to_string(wait->kind)) + in_brackets(wait->detail) : call;
}

std::string doing_phrase(const CaseThread& of) {
  if (!is_blocked(of.thread->state)) return "runs";
  std::string text = "waits";
  if (of.thread->blocked_ns) text += " since " + format_duration(*of.thread->blocked_ns);
  const Wait* wait = of.wait();
  const bool thing = wait && !wait_phrase(of).ends_with(")");
  return text + (thing ? " for " : " in ") + wait_phrase(of);
}

std::string root_advice(const CaseThread& root) {
  const Wait* wait = root.wait();
  if (!is_blocked(root.thread->state))
    return "see where it computes (loiter stacks " + std::to_string(root.process->key.tid) +
           "), and give the lock back before long work";
  if (!wait) return "see where it stands: loiter stacks " + std::to_string(root.process->key.tid);
  switch (wait->kind) {
    case WaitKind::read:
    case WaitKind::accept:
    case WaitKind::poll:
      return "give that wait a timeout, or do not hold the lock over it";
    case WaitKind::write:
      return "whoever reads at the other end has stopped: give that write a timeout, or do not hold the lock "
             "over it";
    case WaitKind::connect:
      return "give that connect a timeout";
    case WaitKind::sleep:
      return "do not sleep with the lock held";
    case WaitKind::condvar:
    case WaitKind::semaphore:
      return "do not wait for others with the lock held, or use the one that the condition gives back";
    case WaitKind::wait_child:
    case WaitKind::vfork:
      return "do not wait for a child with the lock held, or end the child after a time";
    case WaitKind::barrier:
      return "fewer threads come to the barrier than it was made for: see who ended or turned back on the "
             "way";
    case WaitKind::disk:
    case WaitKind::page_fault:
      return "look at the disk or the file server: dmesg, and the mount of that file";
    case WaitKind::file_lock:
      return "see who holds the lock on that file: loiter chain " + std::to_string(root.process->key.tid);
    case WaitKind::lock:
      return "every way out of the locked part must give the lock back, early returns and exceptions too";
    default:
      return "see where it stands: loiter stacks " + std::to_string(root.process->key.tid);
  }
}

}  // namespace loiter
