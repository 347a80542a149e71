# SPDX-License-Identifier: ISC
# stress: the storm of all ioctls, static, the same file on every host.

BUILD		?= build
MUSL_CC		?= musl-gcc
CFLAGS_COMMON	?= -O2 -g -Wall -Wextra -Wshadow -Wstrict-prototypes \
		   -Wmissing-prototypes -Wvla

stress_SRC	:= $(sort $(wildcard tests/integration/stress/*.c)) \
		   src/vmctl/client.c
stress_OBJ	:= $(patsubst %.c,$(BUILD)/stress/%.o,$(stress_SRC))
stress_CFLAGS	= -std=c11 -D_GNU_SOURCE $(CFLAGS_COMMON) -MMD -MP \
		  -Iinclude -Isrc/vmctl -Iguests -Itests/integration/stress

$(BUILD)/bin/stress: $(stress_OBJ)
	@mkdir -p $(@D)
	$(MUSL_CC) -static -o $@ $(stress_OBJ) -lpthread

$(BUILD)/stress/%.o: %.c
	@mkdir -p $(@D)
	$(MUSL_CC) $(stress_CFLAGS) -c -o $@ $<

-include $(stress_OBJ:.o=.d)
