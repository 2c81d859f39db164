// cgo_threads: a Go program whose C code makes threads, on command ("make"): one by pthread_create in C, and
// those that Go's runtime makes for goroutines that stay in C, each bound to its thread.
package main

/*
#include <pthread.h>
#include <unistd.h>

static void* rest_in_c(void* argument) {
  for (;;) pause();
  return argument;
}

__attribute__((noinline)) static void make_in_c(void) {
  pthread_t thread;
  pthread_create(&thread, NULL, rest_in_c, NULL);
}

static void stay_in_c(void) {
  pause();
}
*/
import "C"

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
)

const goroutines = 4

func stay() {
	runtime.LockOSThread()
	C.stay_in_c()
}

func main() {
	fmt.Println(`{"fact": "ready"}`)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		C.make_in_c()
		for i := 0; i < goroutines; i++ {
			go stay()
		}
		fmt.Println(`{"fact": "done"}`)
	}
}
