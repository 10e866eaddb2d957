# Two units by hand, of which the second uses a type that the first tells: as linkers leave it that join what several
# units say.
        .section .debug_abbrev,"",%progbits
        .uleb128 1, 0x11                # a unit with children
        .byte   1
        .uleb128 0x03, 0x08             # name: a string here
        .uleb128 0, 0
        .uleb128 2, 0x24                # a number
        .byte   0
        .uleb128 0x03, 0x08
        .uleb128 0x0b, 0x0b             # size
        .uleb128 0x3e, 0x0b             # encoding
        .uleb128 0, 0
        .uleb128 3, 0x13                # a struct with fields
        .byte   1
        .uleb128 0x03, 0x08
        .uleb128 0x0b, 0x0b
        .uleb128 0x3b, 0x0b             # line
        .uleb128 0, 0
        .uleb128 4, 0x0d                # a field
        .byte   0
        .uleb128 0x03, 0x08
        .uleb128 0x38, 0x0b             # offset
        .uleb128 0x49, 0x10             # type: anywhere in the section
        .uleb128 0, 0
        .uleb128 0

        .section .debug_info,"",%progbits
.Linfo:
        .4byte  .Lend1 - .Lbegin1
.Lbegin1:
        .2byte  4
        .4byte  0
        .byte   8
        .uleb128 1
        .asciz  "first.c"
.Lnumber:
        .uleb128 2
        .asciz  "int"
        .byte   4, 5
        .uleb128 3                      # one of two that have this name
        .asciz  "twin"
        .byte   4, 7
        .uleb128 4
        .asciz  "only"
        .byte   0
        .4byte  .Lnumber - .Linfo
        .byte   0
        .byte   0
.Lend1:
        .4byte  .Lend2 - .Lbegin2
.Lbegin2:
        .2byte  4
        .4byte  0
        .byte   8
        .uleb128 1
        .asciz  "second.c"
        .uleb128 3
        .asciz  "pair"
        .byte   8, 3
        .uleb128 4
        .asciz  "one"
        .byte   0
        .4byte  .Lnumber - .Linfo
        .uleb128 4
        .asciz  "two"
        .byte   4
        .4byte  .Lnumber - .Linfo
        .byte   0
        .uleb128 3
        .asciz  "twin"
        .byte   4, 9
        .uleb128 4
        .asciz  "other"
        .byte   0
        .4byte  .Lnumber - .Linfo
        .byte   0
        .byte   0
.Lend2:
