/* SPDX-License-Identifier: MIT */

/*
 * One program, two parts: `chaos serve` is one server that can be told to misbehave, `chaos drive`
 * the clients.  Loop, sending and bodies are those of contrib/storm.
 */

#include "chaos.h"

#include <stdio.h>
#include <string.h>

int
main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "serve") == 0)
		return chaos_serve(argc - 2, argv + 2);
	if (argc > 1 && strcmp(argv[1], "drive") == 0)
		return chaos_drive(argc - 2, argv + 2);
	fprintf(stderr, "usage: chaos serve PORT NUMBER FILE\n"
		"       chaos drive PORT CLIENTS SEED ODD POSTS\n");
	return 2;
}
