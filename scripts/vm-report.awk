# Reads what a guest reported (scripts/vm-init) and prints its failed tests in full and its skipped ones
# with the reason. Into the file `counts`: "kernel RELEASE", "last TEST" (the one begun last), "exit CODE"
# and "count PASSED FAILED SKIPPED". A test that began and did not end is a failed one.
function show(  i) {
  for (i = 0; i < lines; i++) print text[i]
}
/^guest: kernel / { release = $3; next }
/^guest: exit code / { code = $4; next }
/^\[ RUN      \]/ { test = $4; running = 1; lines = 0 }
running { text[lines++] = $0 }
running && /\[       OK \] .*\)$/ { passed++; running = 0 }
running && /\[  FAILED  \] .*\)$/ { failed++; running = 0; show() }
running && /\[  SKIPPED \] .*\)$/ { skipped++; running = 0; show() }
END {
  if (running) { failed++; show() }
  printf "kernel %s\nlast %s\nexit %s\n", release ? release : "unknown", test ? test : "none", code == "" ? "none" : code >counts
  printf "count %d %d %d\n", passed, failed, skipped >counts
}
