#include "daemon/detect/finding.h"

namespace loiter {

const char* to_string(FindingKind kind) {
  switch (kind) {
    case FindingKind::deadlock:
      return "deadlock";
    case FindingKind::orphan:
      return "orphan";
    case FindingKind::stuck:
      return "stuck";
    case FindingKind::leak:
      return "leak";
    case FindingKind::unjoined:
      return "unjoined";
    case FindingKind::exhaustion:
      return "exhaustion";
    case FindingKind::starved:
      return "starved";
    case FindingKind::spin:
      return "spin";
    case FindingKind::overdue:
      return "overdue";
  }
  return "overdue";
}

const char* to_string(Severity severity) {
  switch (severity) {
    case Severity::info:
      return "info";
    case Severity::warning:
      return "warning";
    case Severity::critical:
      return "critical";
  }
  return "info";
}

const char* to_string(Certainty certainty) {
  switch (certainty) {
    case Certainty::possible:
      return "possible";
    case Certainty::likely:
      return "likely";
    case Certainty::proven:
      return "proven";
  }
  return "possible";
}

}  // namespace loiter
