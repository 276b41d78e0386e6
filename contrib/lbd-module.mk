# SPDX-License-Identifier: MIT
#
# Builds one lbd module out of the lbd tree.  A complete makefile for hello.c is
#
#	MODULE = hello
#	include $(shell pkg-config --variable=mk lbd)
#
# and makes hello.so from every .c file beside it.  SRCS, LIBS and LBD_PC (the package asked for) may be
# set before the include; CC, CFLAGS, LDFLAGS, PKG_CONFIG, DESTDIR mean what they always do.

LBD_PC ?= lbd
PKG_CONFIG ?= pkg-config
SRCS ?= $(wildcard *.c)
CFLAGS ?= -O2 -g -Wall -Wextra

lbd_cflags := $(shell $(PKG_CONFIG) --cflags $(LBD_PC))
lbd_libs := $(shell $(PKG_CONFIG) --libs $(LBD_PC))
lbd_moduledir := $(shell $(PKG_CONFIG) --variable=moduledir $(LBD_PC))
objs := $(SRCS:.c=.o)

.PHONY: all install uninstall clean
all: $(MODULE).so

%.o: %.c
	$(CC) -std=gnu11 $(lbd_cflags) $(CPPFLAGS) $(CFLAGS) -MMD -c -o $@ $<

# written aside and renamed: a running lbd may have the old file mapped
$(MODULE).so: $(objs)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@.new $(objs) $(lbd_libs) $(LIBS)
	mv -f $@.new $@

install: all
	mkdir -p $(DESTDIR)$(lbd_moduledir)
	install -m 755 $(MODULE).so $(DESTDIR)$(lbd_moduledir)/$(MODULE).so.new
	mv -f $(DESTDIR)$(lbd_moduledir)/$(MODULE).so.new $(DESTDIR)$(lbd_moduledir)/$(MODULE).so

uninstall:
	rm -f $(DESTDIR)$(lbd_moduledir)/$(MODULE).so

clean:
	rm -f $(MODULE).so $(MODULE).so.new $(objs) $(objs:.o=.d)

-include $(objs:.o=.d)
