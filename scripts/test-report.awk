# Reads googletest's XML report, then the output of the same run. Prints the output of each failed test in
# full and each skipped one with its reason. Into the file `counts`: "PASSED FAILED SKIPPED".
#
# The report is googletest's own and has one element a line; what the tests print is in the output alone.
function attribute(name,  rest) {
  rest = $0
  if (!sub(".* " name "=\"", "", rest)) return ""
  sub("\".*", "", rest)
  gsub("&lt;", "<", rest)
  gsub("&gt;", ">", rest)
  gsub("&quot;", "\"", rest)
  gsub("&amp;", "\\&", rest)
  return rest
}

FNR == 1 { file++ }

file == 1 && /^ *<testcase / {
  test = attribute("classname") "." attribute("name")
  state[test] = attribute("result") == "skipped" ? "skipped" : attribute("status") == "run" ? "passed" : "not run"
}
file == 1 && /^ *<failure / { state[test] = "failed" }

file == 2 && /^\[ RUN      \] / { now = $4; inside = 1 }
file == 2 && inside && state[now] != "passed" { print }
file == 2 && /^\[(       OK|  FAILED  |  SKIPPED) ?\] .*\)$/ { inside = 0 }

END {
  for (test in state) count[state[test]]++
  print count["passed"] + 0, count["failed"] + 0, count["skipped"] + 0 >counts
}
