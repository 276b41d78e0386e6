#!/usr/bin/perl
# SPDX-License-Identifier: MIT
#
# The manual and the tables in the code agree: every directive and variable is in its page, with the same
# arguments, default and contexts, and no page names one that does not exist.
#
# A directive's entry in a page is
#
#	.It Ic name Ar arguments
#	Default:
#	.Cm value .
#	Context: http, server.
#
# without the default where there is none.  A variable's entry is ".It Va $name".

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../lib";
use Lbd;
use Test::More;

my $src = $ENV{LBD_SRC} // '.';
my %built_in = map { $_ => 1 } qw(core events http upstream);

sub page_of {
	my ($module) = @_;

	return $built_in{$module} ? 'lbd.conf.5' : "lbd-$module.5";
}

sub key { return join ' in ', @_ }

sub table {
	my ($option) = @_;
	my ($code, $out) = lbd_run($option, glob modules_folder() . '/*.so');

	is($code, 0, $option) or diag $out;
	return map { [split /\t/, $_, -1] } split /\n/, $out;
}

# Text as it is printed: escapes resolved.
sub plain {
	my ($text) = @_;

	return $text =~ s/\\&//gr =~ s/\\\(ti/~/gr =~ s/\\\(ha/^/gr =~ s/\\-/-/gr =~ s/\\e/\\/gr;
}

my (%directive, %name, %variable);
for (table('--print-directives')) {
	my ($name, $module, $contexts, $syntax, $default, $help) = @$_;
	my $key = key($name, $contexts);

	fail("$key is in two tables") if exists $directive{$key};
	$directive{$key} = { page => page_of($module), syntax => $syntax, default => $default };
	$name{$name} = 1;
	isnt($help, '', "$key has a line of help") if $help eq '';
}
$variable{ $_->[0] } = page_of($_->[1]) for table('--print-variables');
ok(keys %directive > 100 && keys %variable > 50, 'lbd told of its directives and variables');
$name{include} = 1; # the parser's own

my (%entry, %described, @unknown);

# The names behind a macro of a request line: up to the next macro.
sub marked {
	my ($line, $macro) = @_;
	my @found;
	my $inside = 0;

	for my $word (split ' ', $line) {
		if ($word =~ /^\.?(?:[A-Z][a-z]|No|It|D1)$/) {
			$inside = $word =~ /^\.?$macro$/;
		} elsif ($inside) {
			push @found, plain($word);
		}
	}
	return grep { /\w/ } @found;
}

# "$arg_ Ns Ar name" is a prefix.
sub variables_of {
	my ($line) = @_;

	return grep { /^\$[a-z]/ } marked($line =~ s/(\$\w+_) Ns Ar \w+/$1*/gr, 'Va');
}

sub exists_variable {
	my ($name) = @_;

	return 1 if exists $variable{$name} || $name =~ /^\$(?:name|upstream_\*)$/; # any variable, a family
	return grep { /\*$/ && index($name, substr $_, 0, -1) == 0 } keys %variable;
}

sub look_at {
	my ($page, @lines) = @_;

	for my $i (0 .. $#lines) {
		my $line = $lines[$i];

		next unless $line =~ /^\./ && $line !~ /^\.\\"/;
		push @unknown, map { "$page: directive $_" } grep { !$name{$_} } marked($line =~ s/ (?:Ar|Cm|No) .*//r, 'Ic');
		push @unknown, map { "$page: variable $_" } grep { !exists_variable($_) } variables_of($line);
		$described{$_}{$page} = 1 for $line =~ /^\.It Va/ ? variables_of($line) : ();
		next unless $line =~ /^\.It Ic (\S+) ?(.*)/;

		my ($name, $arguments, $default, $at) = ($1, $2, '', $i + 1);
		if (($lines[$at] // '') eq 'Default:') {
			($default) = $lines[$at + 1] =~ /^\.Cm (.*) \.$/;
			$at += 2;
		}
		next unless ($lines[$at] // '') =~ /^Context: (.*)\.$/;
		my $key = key($name, $1);
		push @unknown, "$page: second entry of $key" if $entry{$key};
		$entry{$key} = { page => $page, default => $default // '?',
			syntax => join ' ', grep { !/^(?:Ar|Cm|No)$/ } split ' ', plain($arguments) };
	}
}

# A long list of contexts may be broken.
for my $path (sort glob "'$src/man/*.[1-9]'") {
	my $text = do { local (@ARGV, $/) = ($path); <> };

	1 while $text =~ s/^(Context: [^.\n]*)\n(?!\.)/$1 /m;
	look_at($path =~ s{.*/}{}r, split /\n/, $text);
}

is(join("\n", @unknown), '', 'no page names what does not exist');
is_deeply([sort grep { !$entry{$_} } keys %directive], [], 'every directive has an entry');
is_deeply([sort grep { !$directive{$_} } keys %entry], [], 'every entry has a directive of these contexts');
for my $key (sort grep { $directive{$_} } keys %entry) {
	my ($said, $true) = ($entry{$key}, $directive{$key});

	is_deeply($said, $true, $key)
		unless $said->{page} eq $true->{page} && $said->{default} eq $true->{default} &&
			$said->{syntax} eq $true->{syntax};
}
is_deeply([sort grep { !$described{$_}{ $variable{$_} } } keys %variable], [], 'every variable is in its page');

my @modules = map { m{([^/]*)\.so$} } glob modules_folder() . '/*.so';
my ($code, $help) = lbd_run('-h');

is_deeply([grep { !-f "$src/man/" . page_of($_) } @modules], [], 'every bundled module has a page');
is_deeply([grep { $help !~ /\b$_\b/ } @modules], [], 'lbd -h names them');
is_deeply([grep { $help !~ /\b\Q$_\E\(/ } qw(lbd lbd.conf lbd-modules)], [], 'and the manual pages');
done_testing();
