/* SPDX-License-Identifier: MIT */

/*
 * One program for both sides of the storm; contrib/storm/run builds and starts it.
 *
 *	storm serve [LISTENERS]    the servers behind lbd, see storm_serve.c
 *	storm drive [OPTION]...    the clients, see storm_drive.c
 */

#include "storm.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

int
main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (argc > 1 && strcmp(argv[1], "serve") == 0)
		return serve(argc - 2, argv + 2);
	if (argc > 1 && strcmp(argv[1], "drive") == 0)
		return drive(argc - 1, argv + 1);
	fprintf(stderr, "usage: storm serve [LISTENERS] | storm drive [OPTION]...\n");
	return 2;
}
