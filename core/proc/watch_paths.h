/* SPDX-License-Identifier: MIT */

/*
 * Which folders must be watched to see a path change: the one it ends in, and those that hold a
 * link on the way.  Where the way ends early, the last folder that is there.
 */

#ifndef LBD_CORE_PROC_WATCH_PATHS_H
#define LBD_CORE_PROC_WATCH_PATHS_H

/* path is absolute; fn is called once or more for each folder. */
void watch_path_folders(const char *path, void (*fn)(void *arg, const char *folder), void *arg);

/* The same for a mask: its folder, and where that has wildcards, all folders that match. */
void watch_mask_folders(const char *mask, void (*fn)(void *arg, const char *folder), void *arg);

#endif
