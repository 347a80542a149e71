# SPDX-License-Identifier: ISC
# conform: the conformance program, static, the same file on every host.

BUILD		?= build
MUSL_CC		?= musl-gcc
CFLAGS_COMMON	?= -O2 -g -Wall -Wextra -Wshadow -Wstrict-prototypes \
		   -Wmissing-prototypes -Wvla

conform_SRC	:= $(sort $(wildcard tests/integration/conform/*.c)) \
		   src/vmctl/client.c
conform_OBJ	:= $(patsubst %.c,$(BUILD)/conform/%.o,$(conform_SRC))
conform_CFLAGS	= -std=c11 -D_GNU_SOURCE $(CFLAGS_COMMON) -MMD -MP \
		  -Iinclude -Isrc/vmctl -Iguests -Itests/integration/conform

$(BUILD)/bin/conform: $(conform_OBJ)
	@mkdir -p $(@D)
	$(MUSL_CC) -static -o $@ $(conform_OBJ) -lpthread

$(BUILD)/conform/%.o: %.c
	@mkdir -p $(@D)
	$(MUSL_CC) $(conform_CFLAGS) -c -o $@ $<

-include $(conform_OBJ:.o=.d)
