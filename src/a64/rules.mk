# Tables of the decoder and the disassembler, generated from the instruction table.
.DEFAULT_GOAL := all
A64_DEFS := src/a64/a64.def src/a64/formats.def
GEN      += $(B)/gen/a64_tables.inc $(B)/gen/a64_text.inc

$(B)/gen/a64_%.inc: tools/gen_a64.py $(A64_DEFS)
	@mkdir -p $(@D)
	$(PYTHON) tools/gen_a64.py $* $(A64_DEFS) > $@.tmp && mv $@.tmp $@

# The instruction set as a document, after a change of the table.
docs/instructions.md: tools/gen_a64.py $(A64_DEFS)
	$(PYTHON) tools/gen_a64.py doc $(A64_DEFS) > $@
