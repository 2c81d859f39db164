/* Chooses the architecture's file; each defines the same functions. */
#ifndef LOITER_BPF_ARCH_H
#define LOITER_BPF_ARCH_H

#if defined(__TARGET_ARCH_x86)
#include "arch_x86_64.h"
#elif defined(__TARGET_ARCH_arm64)
#include "arch_arm64.h"
#else
#error "loiter knows x86-64 and arm64; a new architecture needs an arch_*.h"
#endif

#endif
