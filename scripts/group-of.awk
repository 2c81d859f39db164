# Reads names, a line each, and writes GROUP:NAME for each, GROUP a number below `groups`. It hangs on the name
# alone, so that no file changes its group because another one comes or goes.
BEGIN {
  for (i = 0; i < 256; ++i) code[sprintf("%c", i)] = i
}
{
  sum = 0
  for (i = 1; i <= length($0); ++i) sum = (sum * 31 + code[substr($0, i, 1)]) % 65521
  printf "%d:%s\n", sum % groups, $0
}
