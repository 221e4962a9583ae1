# SPDX-License-Identifier: MIT
# Writes libchela.3 from client.h: each exported function with its comment, whose
# first sentence stands alone, and each struct, enum and callback type as it is.
function esc(s) {
	gsub(/\\/, "\\e", s)
	if (s ~ /^[.']/)
		s = "\\\&" s
	return s
}
function flush_text(	i) {
	for (i = 1; i <= n_text; i++)
		print text[i] == "" ? ".Pp" : esc(text[i])
}
function flush_code(	i) {
	print ".Bd -literal -offset indent"
	for (i = 1; i <= n_code; i++)
		print esc(code[i])
	print ".Ed"
}
function add_text(s) {
	sub(/^ *\*? ?/, "", s)
	sub(/ *\*\/ *$/, "", s)
	if (s == "" && n_text == 0)
		return
	text[++n_text] = s
}
function reset() {
	n_text = n_code = 0
}
BEGIN {
	print ".\\\" SPDX-License-Identifier: MIT"
	print ".\\\" Made from chela/client.h by man.awk."
	print ".Dd " date
	print ".Dt LIBCHELA 3"
	print ".Os"
	print ".Sh NAME"
	print ".Nm libchela"
	print ".Nd a client of the chela gateway for C programs"
	print ".Sh SYNOPSIS"
	print ".In chela/client.h"
	print ".Pp"
	print "cc program.c $(pkg-config --cflags --libs libchela)"
	print ".Sh DESCRIPTION"
	state = "top"
}
# The first comment after the licence is the introduction.
/^\/\* SPDX/ { next }
/^\/\*.*\*\/$/ { reset(); s = $0; sub(/^\/\* ?/, "", s); add_text(s); next }
/^\/\*/ { reset(); in_comment = 1; s = $0; sub(/^\/\*/, "", s); if (s != "") add_text(s); next }
in_comment {
	if ($0 ~ /\*\/ *$/)
		in_comment = 0
	s = $0
	if (s ~ /^ *\*\/ *$/)
		s = ""
	if (s != "" || in_comment)
		add_text(s)
	if (!in_comment && state == "top") {
		for (i = 1; i <= n_text; i++) {
			if (text[i] ~ /^ - /) {
				if (!in_list)
					print ".Bl -dash"
				in_list = 1
				print ".It"
				sub(/^ - /, "", text[i])
			}
			sub(/^ +/, "", text[i])
			if (text[i] != "")
				print esc(text[i])
			else if (!in_list)
				print ".Pp"
		}
		if (in_list)
			print ".El"
		state = "body"
		reset()
	}
	next
}
/^CHELA_CLIENT_API/ { sub(/^CHELA_CLIENT_API /, ""); in_decl = 1; n_code = 0 }
/^(struct|enum) chela_client_[a-z]+ \{/ || /^typedef/ {
	if (!in_decl) {
		in_type = 1
		n_code = 0
	}
}
in_decl {
	code[++n_code] = $0
	if ($0 ~ /;$/) {
		in_decl = 0
		if (!n_functions++)
			print ".Sh FUNCTIONS"
		name = code[1] " " code[2]
		match(name, /chela_client_[a-z_]+\(/)
		print ".Ss " substr(name, RSTART, RLENGTH - 1)
		flush_code()
		flush_text()
		reset()
	}
	next
}
in_type {
	code[++n_code] = $0
	if ($0 ~ /^};/ || (code[1] ~ /^typedef/ && $0 ~ /;$/)) {
		in_type = 0
		if (!types++)
			print ".Sh TYPES"
		flush_text()
		flush_code()
		reset()
	}
	next
}
END {
	print ".Sh EXAMPLES"
	print ".Bd -literal"
	while ((getline line < example) > 0) {
		if (line !~ /SPDX/)
			print esc(line)
	}
	print ".Ed"
	print ".Sh SEE ALSO"
	print ".Xr chela 1 ,"
	print ".Xr chelad 8"
}
