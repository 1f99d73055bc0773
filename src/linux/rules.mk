# What comes from the list of system calls. docs/syscalls.md is checked in: `make docs/syscalls.md` after a change.
SYSCALLS_DEF := src/linux/syscalls.def
GEN          += $(B)/gen/syscall_rows.inc $(B)/gen/syscall_prototypes.inc $(B)/gen/syscall_numbers.inc

$(B)/gen/syscall_%.inc: tools/gen_syscalls.py $(SYSCALLS_DEF)
	@mkdir -p $(@D)
	$(PYTHON) tools/gen_syscalls.py $* $(SYSCALLS_DEF) > $@.tmp && mv $@.tmp $@

docs/syscalls.md: tools/gen_syscalls.py $(SYSCALLS_DEF)
	@mkdir -p $(@D)
	$(PYTHON) tools/gen_syscalls.py document $(SYSCALLS_DEF) > $@
