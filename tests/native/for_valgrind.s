# SPDX-License-Identifier: Apache-2.0
# vmovq between two registers has two encodings of one meaning. The assembler takes the shorter one, 66 0F D6, where the
# source is one of the upper eight registers, and valgrind up to 3.19 at least stops there with an illegal instruction.
# This asks for the other one, F3 0F 7E: the same instructions, one of them a byte longer. What is shipped is assembled
# without this file.
.macro vmovq operands:vararg
	{load} vmovq \operands
.endm
