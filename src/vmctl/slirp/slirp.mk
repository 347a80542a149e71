# SPDX-License-Identifier: ISC
# The user network's helper: the one program here with shared libraries.

BUILD		?= build
CC		?= gcc
CFLAGS_COMMON	?= -O2 -g -Wall -Wextra -Wshadow -Wstrict-prototypes \
		   -Wmissing-prototypes -Wvla

$(BUILD)/bin/vmctl-slirp: $(addprefix src/vmctl/slirp/,slirp.c link.h slirp.mk)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_COMMON) -std=gnu11 -o $@ $< -lslirp

.PHONY: slirp
slirp: $(BUILD)/bin/vmctl-slirp
