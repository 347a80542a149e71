/* SPDX-License-Identifier: ISC */
/*
 * exit_shadow.c - what a client may do to a VCPU that it finds in the middle
 * of something: in an interrupt shadow, or half in an interrupt's handler.
 */
#include "exit_util.h"

#define IF	0x200UL
#define TF	0x100UL
#define TARGET	0x200000UL
#define STACK	0x201000UL	/* its page is the one at TARGET */

enum { STI, MOV_SS };

/* A VALUE of the guests: vector, and how far behind EBX; IF was set. */
#define AT(vector, offset)	((offset) << 8 | (vector))
#define IF_ON			0x10000

static void
protect(struct client_vm *v, int prot)
{
	CHECK_EQ(client_ioc_mprotect(v->fd, v->id, 0, TARGET, 0x1000, prot),
	    0);
}

/* A guest stopped in the shadow, its access allowed from now on. */
static struct client_vm *
in_shadow(uint64_t kind)
{
	uint64_t args[8] = { kind, TARGET };
	struct client_vm *v = new_guest("shadow", args);

	protect(v, 1);
	run_to(v, NO_IRQ, CLIENT_PROTECT);
	CHECK_EQ(gpr(v, VCPU_REGS_RIP), gpr(v, VCPU_REGS_RBX));
	CHECK_EQ(gpr(v, VCPU_REGS_RFLAGS) & (IF | TF), IF);
	protect(v, 3);
	return (v);
}

/* RUN must end with that OUT, and the access have happened or not. */
static void
out_port(struct client_vm *v, uint16_t irq, uint16_t port, bool stored)
{
	run_to(v, irq, CLIENT_IO);
	CHECK_EQ(v->exit.vei.vei_port, port);
	CHECK_EQ(*(uint32_t *)(v->mem + TARGET), stored ? GUEST_DS : 0);
}

static uint32_t
value(struct client_vm *v, uint16_t irq)
{
	run_to(v, irq, CLIENT_IO);
	CHECK_EQ(v->exit.vei.vei_port, GUEST_VALUE);
	return (v->exit.vei.vei_data);
}

static void
flags(struct client_vm *v, uint64_t set, uint64_t clear)
{
	set_gpr(v, VCPU_REGS_RFLAGS,
	    (gpr(v, VCPU_REGS_RFLAGS) | set) & ~clear);
}

/* Interrupts off: the vector waits, the access happens first. */
static void
close_if(uint64_t kind)
{
	struct client_vm *v = in_shadow(kind);

	flags(v, 0, IF);
	out_port(v, 0x40, 0x71, true);
	CHECK_EQ(gpr(v, VCPU_REGS_RFLAGS) & IF, 0);
	CHECK_EQ(v->run.vrp_irqready, 0);
	CHECK_EQ(value(v, NO_IRQ) & 0x100ff, IF_ON | 0x40);
	run_done(v);
}

/* A step: one #DB, behind the access, and the vector behind that. */
static void
set_tf(uint64_t kind)
{
	struct client_vm *v = in_shadow(kind);

	flags(v, TF, 0);
	CHECK_EQ(value(v, 0x40), IF_ON | AT(VMM_EX_DB, 2));
	CHECK_EQ(value(v, NO_IRQ), IF_ON | AT(0x40, 2));
	out_port(v, NO_IRQ, 0x71, true);
	run_done(v);
}

static void
set_tf_close_if(uint64_t kind)
{
	struct client_vm *v = in_shadow(kind);

	flags(v, TF, IF);
	CHECK_EQ(value(v, 0x40), AT(VMM_EX_DB, 2));
	out_port(v, NO_IRQ, 0x71, true);
	CHECK_EQ(value(v, NO_IRQ) & 0x100ff, IF_ON | 0x40);
	run_done(v);
}

/* Another RIP: the shadow covers the NOP there, the vector comes next. */
static void
set_rip(uint64_t kind)
{
	struct client_vm *v = in_shadow(kind);

	set_gpr(v, VCPU_REGS_RIP, gpr(v, VCPU_REGS_RBP));
	CHECK_EQ(value(v, 0x40), IF_ON | AT(0x40, 1));
	out_port(v, NO_IRQ, 0x40, false);
	out_port(v, NO_IRQ, 0x71, false);
	run_done(v);
}

/* RESETCPU: no shadow is left, so the vector comes at once. */
static void
reset(uint64_t kind)
{
	struct client_vm *v = in_shadow(kind);
	struct vcpu_reg_state vrs = v->exit.vrs;

	vrs.vrs_gprs[VCPU_REGS_RIP] = gpr(v, VCPU_REGS_RBP);
	CHECK_EQ(client_ioc_resetcpu(v->fd, v->id, 0, &vrs), 0);
	CHECK_EQ(value(v, 0x40), IF_ON | AT(0x40, 0));
	out_port(v, NO_IRQ, 0x40, false);
	out_port(v, NO_IRQ, 0x71, false);
	run_done(v);
}

static void
shadow_if(void)
{
	close_if(STI);
	close_if(MOV_SS);
}

static void
shadow_tf(void)
{
	set_tf(STI);
	set_tf(MOV_SS);
}

static void
shadow_tf_if(void)
{
	set_tf_close_if(STI);
	set_tf_close_if(MOV_SS);
}

static void
shadow_rip(void)
{
	set_rip(STI);
	set_rip(MOV_SS);
}

static void
shadow_reset(void)
{
	reset(STI);
	reset(MOV_SS);
}

/* A guest whose interrupt 0x41 could not be pushed on its stack. */
static struct client_vm *
cut_short(void)
{
	uint64_t args[8] = { STACK };
	struct client_vm *v = new_guest("irq-cut", args);

	protect(v, 1);
	run_to_io(v, VEI_DIR_OUT, 0x70, 1);
	run_to(v, 0x41, CLIENT_PROTECT);
	CHECK_EQ(gpr(v, VCPU_REGS_RIP), gpr(v, VCPU_REGS_RBX));
	CHECK_EQ(gpr(v, VCPU_REGS_RSP), STACK);
	CHECK_EQ(gpr(v, VCPU_REGS_RFLAGS) & IF, IF);
	CHECK_EQ(v->run.vrp_irqready, 0);
	return (v);
}

static void
cut_if(void)
{
	struct client_vm *v = cut_short();

	flags(v, 0, IF);
	/* The page is forbidden as before, but nothing needs it. */
	run_to_io(v, VEI_DIR_OUT, 0x71, 1);
	CHECK_EQ(gpr(v, VCPU_REGS_RFLAGS) & IF, 0);
	protect(v, 3);
	/* A higher one brought meanwhile goes first. */
	CHECK_EQ(value(v, 0x51) & 0xff, 0x51);
	CHECK_EQ(value(v, NO_IRQ) & 0xff, 0x41);
	run_to_io(v, VEI_DIR_OUT, 0x40, 1);
	run_done(v);
}

/* While IF stays as it is, the interrupted one is first. */
static void
cut_beside(void)
{
	struct client_vm *v = cut_short();

	run_to(v, 0x51, CLIENT_PROTECT);
	protect(v, 3);
	CHECK_EQ(value(v, NO_IRQ), AT(0x41, 0));
	CHECK_EQ(value(v, NO_IRQ), AT(0x51, 0));
	run_to_io(v, VEI_DIR_OUT, 0x71, 1);
	run_to_io(v, VEI_DIR_OUT, 0x40, 1);
	run_done(v);
}

/* Off and on again between two RUNs: as if nothing had been. */
static void
cut_on_again(void)
{
	struct client_vm *v = cut_short();

	flags(v, 0, IF);
	flags(v, IF, 0);
	protect(v, 3);
	CHECK_EQ(value(v, NO_IRQ), AT(0x41, 0));
	run_to_io(v, VEI_DIR_OUT, 0x71, 1);
	run_to_io(v, VEI_DIR_OUT, 0x40, 1);
	run_done(v);
}

const struct clause exit_shadow[] = {
	{ "F19.if", "IF cleared by the client in a shadow",
	    LAYER_EXIT, FIX, shadow_if, NULL },
	{ "F19.tf", "TF set by the client in a shadow: one #DB, in its place",
	    LAYER_EXIT, FIX, shadow_tf, NULL },
	{ "F19.tf-if", "both at once",
	    LAYER_EXIT, FIX, shadow_tf_if, NULL },
	{ "F19.rip", "RIP moved away from a shadow",
	    LAYER_EXIT, FIX, shadow_rip, NULL },
	{ "F5.shadow", "RESETCPU ends a shadow",
	    LAYER_EXIT, FIX, shadow_reset, NULL },
	{ "F18.cut-if", "an interrupt cut short waits when IF is cleared",
	    LAYER_EXIT, FIX, cut_if, NULL },
	{ "F18.cut-beside", "one cut short goes before a higher one",
	    LAYER_EXIT, FIX, cut_beside, NULL },
	{ "F18.cut-again", "IF cleared and set again changes nothing",
	    LAYER_EXIT, FIX, cut_on_again, NULL },
	CLAUSE_END
};
