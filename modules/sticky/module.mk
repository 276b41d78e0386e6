# MD5 of server ids.
sticky_CFLAGS = $(OPENSSL_CFLAGS)
sticky_LIBS = $(OPENSSL_LIBS)
