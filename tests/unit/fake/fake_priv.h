/* SPDX-License-Identifier: ISC */
/*
 * fake_priv.h - what the parts of the fake host ask of each other.
 */
#ifndef FAKE_PRIV_H
#define FAKE_PRIV_H

#include "fake_host.h"

void		 fake_mem_reset(void);
struct host_as	*fake_as_default(void);
void		 fake_cpu_reset(void);
void		 fake_cpu_enter_end(void);
void		 fake_cpu_vmrun(void);
void		 fake_svm_reset(void);

#endif /* FAKE_PRIV_H */
