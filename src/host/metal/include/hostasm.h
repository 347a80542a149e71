/* SPDX-License-Identifier: ISC */
/* hostasm.h - how this host wants the functions of the entry assembly. */
#ifndef HOSTASM_H
#define HOSTASM_H

#define HOST_FUNC(name)	.globl name; .type name, @function; name:
#define HOST_END(name)	.size name, . - name
#define HOST_RET	ret

#endif /* HOSTASM_H */
