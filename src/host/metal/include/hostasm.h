/* SPDX-License-Identifier: ISC */
/* hostasm.h - how this host wants the functions of the entry assembly. */
#ifndef HOSTASM_H
#define HOSTASM_H

#define HOST_FUNC(name)	.globl name; .type name, @function; name:
#define HOST_END(name)	.size name, . - name
#define HOST_RET	ret
#define HOST_LABEL(name)	.globl name; name:
#define HOST_SPLIT
#define HOST_EXIT_POINT(name)	.globl name; name:
#define HOST_AFTER_GUEST(reg)

#endif /* HOSTASM_H */
