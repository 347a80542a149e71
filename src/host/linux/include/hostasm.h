/* SPDX-License-Identifier: ISC */
/*
 * hostasm.h - how Linux wants functions in assembly: objtool follows the
 * stack through every instruction, returns may have to go through a thunk,
 * and an address that is jumped to begins with ENDBR.
 *
 * HOST_SPLIT, HOST_EXIT_POINT: the CPU comes to the second with the stack as
 * it was at the first; no instruction that objtool could follow does.
 * HOST_AFTER_GUEST: a guest must not have chosen where the next RETs lead
 * (clobbers `reg` and the flags).
 */
#ifndef HOSTASM_H
#define HOSTASM_H

#include <linux/linkage.h>
#include <asm/nospec-branch.h>
#include <asm/unwind_hints.h>

#define HOST_FUNC(name)		SYM_FUNC_START(name)
#define HOST_END(name)		SYM_FUNC_END(name)
#define HOST_RET		RET
#define HOST_LABEL(name)	SYM_INNER_LABEL(name, SYM_L_GLOBAL)
#define HOST_SPLIT		UNWIND_HINT_SAVE
#define HOST_EXIT_POINT(name) \
	SYM_INNER_LABEL(name, SYM_L_GLOBAL) UNWIND_HINT_RESTORE; ENDBR
#define HOST_AFTER_GUEST(reg) \
	FILL_RETURN_BUFFER reg, RSB_CLEAR_LOOPS, X86_FEATURE_RSB_VMEXIT, \
	X86_FEATURE_RSB_VMEXIT_LITE

#endif /* HOSTASM_H */
