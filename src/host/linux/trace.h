/* SPDX-License-Identifier: ISC */
/*
 * trace.h - the tracepoints vmm:vmm_entry, vmm:vmm_exit and vmm:vmm_ioctl.
 * The fields are described in host.h, where the driver calls them.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM vmm

#if !defined(LINUX_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define LINUX_TRACE_H

#include <linux/tracepoint.h>

TRACE_EVENT(vmm_entry,
	TP_PROTO(u32 vm, u32 vcpu, u64 rip),
	TP_ARGS(vm, vcpu, rip),
	TP_STRUCT__entry(
		__field(u32, vm)
		__field(u32, vcpu)
		__field(u64, rip)
	),
	TP_fast_assign(
		__entry->vm = vm;
		__entry->vcpu = vcpu;
		__entry->rip = rip;
	),
	TP_printk("vm %u vcpu %u rip 0x%llx", __entry->vm, __entry->vcpu,
	    __entry->rip)
);

TRACE_EVENT(vmm_exit,
	TP_PROTO(u32 vm, u32 vcpu, u64 rip, const char *kind, u64 code,
	    const u64 *info),
	TP_ARGS(vm, vcpu, rip, kind, code, info),
	TP_STRUCT__entry(
		__field(u32, vm)
		__field(u32, vcpu)
		__field(u64, rip)
		__array(char, kind, 16)
		__field(u64, code)
		__field(u64, info1)
		__field(u64, info2)
	),
	TP_fast_assign(
		__entry->vm = vm;
		__entry->vcpu = vcpu;
		__entry->rip = rip;
		strscpy(__entry->kind, kind, sizeof(__entry->kind));
		__entry->code = code;
		__entry->info1 = info[0];
		__entry->info2 = info[1];
	),
	TP_printk("vm %u vcpu %u rip 0x%llx %s code 0x%llx info 0x%llx 0x%llx",
	    __entry->vm, __entry->vcpu, __entry->rip, __entry->kind,
	    __entry->code, __entry->info1, __entry->info2)
);

TRACE_EVENT(vmm_ioctl,
	TP_PROTO(u32 nr, u32 vm, int error),
	TP_ARGS(nr, vm, error),
	TP_STRUCT__entry(
		__field(u32, nr)
		__field(u32, vm)
		__field(int, error)
	),
	TP_fast_assign(
		__entry->nr = nr;
		__entry->vm = vm;
		__entry->error = error;
	),
	TP_printk("%s vm %u error %d", __print_symbolic(__entry->nr,
	    { 1, "CREATE" }, { 2, "RUN" }, { 3, "INFO" }, { 4, "TERM" },
	    { 5, "RESETCPU" }, { 6, "INTR" }, { 7, "READREGS" },
	    { 8, "WRITEREGS" }, { 9, "READVMPARAMS" },
	    { 10, "WRITEVMPARAMS" }, { 11, "MPROTECT_EPT" }),
	    __entry->vm, __entry->error)
);

#endif /* LINUX_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
