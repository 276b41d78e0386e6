/* SPDX-License-Identifier: MIT */

/*
 * HTTP dates to seconds (RFC 9110 5.6.7): the fixed form and the two that are obsolete but must be
 * understood.  What a date means to a request is decided by its readers.
 */

#include "core/base/ascii.h"
#include "core/os/clock.h"

/*
 * The forms, byte for byte: Y (four digits) or y (two), D h m s take a digit of that number, B a
 * letter of the month's name, '_' a digit of the day or a space; all else stands for itself.
 */
static const char *const forms[] = {
	"DD BBB YYYY hh:mm:ss GMT",   /* Sun, 06 Nov 1994 08:49:37 GMT */
	"DD-BBB-yy hh:mm:ss GMT",     /* Sunday, 06-Nov-94 08:49:37 GMT */
	"BBB _D hh:mm:ss YYYY",       /* Sun Nov  6 08:49:37 1994 */
};

struct fields {
	int year, month, day, hour, minute, second;
	char name[3];
	int name_n;
};

static int *
field_of(struct fields *f, char c)
{
	switch (c) {
	case 'Y':
	case 'y':
		return &f->year;
	case 'D':
	case '_':
		return &f->day;
	case 'h':
		return &f->hour;
	case 'm':
		return &f->minute;
	case 's':
		return &f->second;
	default:
		return NULL;
	}
}

static bool
match(struct lbd_str s, const char *form, struct fields *f)
{
	size_t i;

	if (s.n != strlen(form))
		return false;
	memset(f, 0, sizeof(*f));
	for (i = 0; i < s.n; i++) {
		int *field = field_of(f, form[i]);

		if (form[i] == 'B') {
			f->name[f->name_n++] = s.p[i];
		} else if (field == NULL) {
			if (s.p[i] != form[i])
				return false;
		} else if (ascii_is_digit(s.p[i])) {
			*field = *field * 10 + (s.p[i] - '0');
		} else if (form[i] != '_' || s.p[i] != ' ') {
			return false;
		}
	}
	return true;
}

static int
month_of(const char *name)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	int i;

	for (i = 0; i < 12; i++) {
		if (memcmp(name, months + 3 * i, 3) == 0)
			return i + 1;
	}
	return 0;
}

static bool
is_leap(int year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static bool
is_valid(const struct fields *f)
{
	static const int lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int length;

	if (f->month < 1 || f->year < 1970 || f->day < 1)
		return false;
	length = lengths[f->month - 1] + (f->month == 2 && is_leap(f->year));
	return f->day <= length && f->hour <= 23 && f->minute <= 59 && f->second <= 60;
}

/* Days since 1970-01-01: years counted from March, so that the leap day comes last. */
static int64_t
days_since_epoch(int year, int month, int day)
{
	int64_t y = month > 2 ? year : year - 1;
	int64_t m = month > 2 ? month - 3 : month + 9;

	return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

bool
clock_parse_http(struct lbd_str s, time_t *out)
{
	ptrdiff_t space = lbd_str_find(s, ' ', 0);
	struct fields f;
	size_t i;

	if (space < 3)
		return false;
	/* the name of the day says nothing the date does not; it may be wrong, as with nginx */
	s = lbd_str_skip(s, (size_t)space + 1);
	for (i = 0; i < LBD_ARRAY_LEN(forms); i++) {
		if (match(s, forms[i], &f))
			break;
	}
	if (i == LBD_ARRAY_LEN(forms))
		return false;
	if (i == 1)
		f.year += f.year < 70 ? 2000 : 1900;
	f.month = month_of(f.name);
	if (!is_valid(&f))
		return false;
	*out = (time_t)(days_since_epoch(f.year, f.month, f.day) * 86400 + f.hour * 3600 +
			f.minute * 60 + f.second);
	return true;
}
