//go:build !purego

#include "textflag.h"

// The shuffle reverses sixteen bytes: four words of the message, big-endian,
// become four lanes with the first word in the highest, as the SHA instructions
// want them.
DATA sha1Reverse<>+0(SB)/8, $0x08090a0b0c0d0e0f
DATA sha1Reverse<>+8(SB)/8, $0x0001020304050607
GLOBL sha1Reverse<>(SB), RODATA|NOPTR, $16

// Registers: X0 is a, b, c, d with a in the highest lane. X1 and X2 take turns
// as e of these four rounds and what e of the next four is made from. X3 to X6
// are sixteen words of the schedule.

// What both loops begin and end with. SI and CX are what is left of the message,
// R8 where the next state is kept, if anywhere.
#define BEGIN(reverse) \
	MOVQ h+0(FP), DI \
	MOVQ p+8(FP), SI \
	MOVQ blocks+16(FP), CX \
	MOVQ keep+24(FP), R8 \
	TESTQ CX, CX \
	JZ done \
	MOVOU (DI), X0 \
	PSHUFD $0x1b, X0, X0 \
	PXOR X1, X1 \
	PINSRD $3, 16(DI), X1 \
	MOVOU sha1Reverse<>(SB), reverse

// Of the state before the block, abcd and e, and that after its rounds.
#define KEEP(abcd, e, tmp) \
	SHA1NEXTE e, X1 \
	PADDD abcd, X0 \
	ADDQ $64, SI \
	TESTQ R8, R8 \
	JZ next \
	PSHUFD $0x1b, X0, tmp \
	MOVOU tmp, (R8) \
	PEXTRD $3, X1, 16(R8) \
	ADDQ $20, R8

#define END \
	PSHUFD $0x1b, X0, X0 \
	MOVOU X0, (DI) \
	PEXTRD $3, X1, 16(DI)

// Four rounds of the kind k.
#define ROUNDS(k, cur, e, next) \
	SHA1NEXTE cur, e \
	MOVO X0, next \
	SHA1RNDS4 $k, e, X0

// Each step of the schedule, FIPS 180-4 section 6.1.2, is spread over the rounds
// before the words are wanted: two parts, the exclusive or between them, and the
// rotation.
#define STEP(k, cur, m1, m2, m3, e, next) \
	SHA1NEXTE cur, e \
	MOVO X0, next \
	SHA1MSG2 cur, m1 \
	SHA1RNDS4 $k, e, X0 \
	SHA1MSG1 cur, m3 \
	PXOR cur, m2

// func sha1BlocksNI(h *sha1State, p *byte, blocks int, keep *sha1State)
TEXT ·sha1BlocksNI(SB), NOSPLIT, $0-32
	BEGIN(X7)

block:
	MOVO X0, X8
	MOVO X1, X9

	// Rounds 0 to 15 take the message as it is.
	MOVOU 0(SI), X3
	PSHUFB X7, X3
	PADDD X3, X1
	MOVO X0, X2
	SHA1RNDS4 $0, X1, X0

	MOVOU 16(SI), X4
	PSHUFB X7, X4
	ROUNDS(0, X4, X2, X1)
	SHA1MSG1 X4, X3

	MOVOU 32(SI), X5
	PSHUFB X7, X5
	ROUNDS(0, X5, X1, X2)
	SHA1MSG1 X5, X4
	PXOR X5, X3

	MOVOU 48(SI), X6
	PSHUFB X7, X6
	STEP(0, X6, X3, X4, X5, X2, X1)

	// Rounds 16 to 67.
	STEP(0, X3, X4, X5, X6, X1, X2)
	STEP(1, X4, X5, X6, X3, X2, X1)
	STEP(1, X5, X6, X3, X4, X1, X2)
	STEP(1, X6, X3, X4, X5, X2, X1)
	STEP(1, X3, X4, X5, X6, X1, X2)
	STEP(1, X4, X5, X6, X3, X2, X1)
	STEP(2, X5, X6, X3, X4, X1, X2)
	STEP(2, X6, X3, X4, X5, X2, X1)
	STEP(2, X3, X4, X5, X6, X1, X2)
	STEP(2, X4, X5, X6, X3, X2, X1)
	STEP(2, X5, X6, X3, X4, X1, X2)
	STEP(3, X6, X3, X4, X5, X2, X1)
	STEP(3, X3, X4, X5, X6, X1, X2)

	// The last twelve rounds make less and less of the schedule.
	ROUNDS(3, X4, X2, X1)
	SHA1MSG2 X4, X5
	PXOR X4, X6
	ROUNDS(3, X5, X1, X2)
	SHA1MSG2 X5, X6
	ROUNDS(3, X6, X2, X1)

	KEEP(X8, X9, X10)

next:
	DECQ CX
	JNZ block
	END

done:
	RET

// Where the schedule takes longer than the rounds, it is made by vector
// instructions that the SHA unit has no part in. The words of four rounds, V,
// follow from those before; with the first word in the highest lane:
//
//	W[t] = ROTL1(W[t-3] ^ W[t-8] ^ W[t-14] ^ W[t-16])
//
// where the last of four words needs the first, and, the same applied twice,
//
//	W[t] = ROTL2(W[t-6] ^ W[t-16] ^ W[t-28] ^ W[t-32])
//
// from the 32nd word on.

// v = words after v1 (the last four), v2, v3 and v4.
#define NEAR(v1, v2, v3, v4, v) \
	VPALIGNR $8, v3, v4, v \
	VPSLLDQ $4, v1, X13 \
	VPTERNLOGD $0x96, v2, v4, v \
	VPXOR X13, v, v \
	VPROLD $1, v, v \
	VPSRLDQ $12, v, X13 \
	VPROLD $1, X13, X13 \
	VPXOR X13, v, v

// v, which holds the words eight before, becomes those after v1, v2, v4 and v7.
#define FAR(v1, v2, v4, v7, v) \
	VPALIGNR $8, v1, v2, X13 \
	VPTERNLOGD $0x96, v4, v7, v \
	VPXOR X13, v, v \
	VPROLD $2, v, v

#define LOAD(at, v) \
	VMOVDQU at(SI), v \
	VPSHUFB X14, v, v

// func sha1BlocksVL(h *sha1State, p *byte, blocks int, keep *sha1State)
// Requires: SHA, AVX512F, AVX512VL
TEXT ·sha1BlocksVL(SB), NOSPLIT, $0-32
	BEGIN(X14)

block:
	VMOVDQA X0, X11
	VMOVDQA X1, X12

	LOAD(0, X3)
	VPADDD X3, X1, X1
	VMOVDQA X0, X2
	SHA1RNDS4 $0, X1, X0
	LOAD(16, X4)
	ROUNDS(0, X4, X2, X1)
	LOAD(32, X5)
	ROUNDS(0, X5, X1, X2)
	LOAD(48, X6)
	ROUNDS(0, X6, X2, X1)

	NEAR(X6, X5, X4, X3, X7)
	ROUNDS(0, X7, X1, X2)
	NEAR(X7, X6, X5, X4, X8)
	ROUNDS(1, X8, X2, X1)
	NEAR(X8, X7, X6, X5, X9)
	ROUNDS(1, X9, X1, X2)
	NEAR(X9, X8, X7, X6, X10)
	ROUNDS(1, X10, X2, X1)

	FAR(X10, X9, X7, X4, X3)
	ROUNDS(1, X3, X1, X2)
	FAR(X3, X10, X8, X5, X4)
	ROUNDS(1, X4, X2, X1)
	FAR(X4, X3, X9, X6, X5)
	ROUNDS(2, X5, X1, X2)
	FAR(X5, X4, X10, X7, X6)
	ROUNDS(2, X6, X2, X1)
	FAR(X6, X5, X3, X8, X7)
	ROUNDS(2, X7, X1, X2)
	FAR(X7, X6, X4, X9, X8)
	ROUNDS(2, X8, X2, X1)
	FAR(X8, X7, X5, X10, X9)
	ROUNDS(2, X9, X1, X2)
	FAR(X9, X8, X6, X3, X10)
	ROUNDS(3, X10, X2, X1)
	FAR(X10, X9, X7, X4, X3)
	ROUNDS(3, X3, X1, X2)
	FAR(X3, X10, X8, X5, X4)
	ROUNDS(3, X4, X2, X1)
	FAR(X4, X3, X9, X6, X5)
	ROUNDS(3, X5, X1, X2)
	FAR(X5, X4, X10, X7, X6)
	ROUNDS(3, X6, X2, X1)

	KEEP(X11, X12, X13)

next:
	DECQ CX
	JNZ block
	END

done:
	RET

// func prefetch(p unsafe.Pointer, lines int)
TEXT ·prefetch(SB), NOSPLIT, $0-16
	MOVQ p+0(FP), AX
	MOVQ lines+8(FP), CX

line:
	PREFETCHT0 (AX)
	ADDQ $64, AX
	DECQ CX
	JGT line
	RET

// func cpuid(leaf, sub uint32) (a, b, c, d uint32)
TEXT ·cpuid(SB), NOSPLIT, $0-24
	MOVL leaf+0(FP), AX
	MOVL sub+4(FP), CX
	CPUID
	MOVL AX, a+8(FP)
	MOVL BX, b+12(FP)
	MOVL CX, c+16(FP)
	MOVL DX, d+20(FP)
	RET
