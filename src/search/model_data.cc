// The model's files, taken into the program byte by byte. The paths come from CMakeLists.txt.
#define EMBED(symbol, path)                    \
  __asm__(                                     \
      ".pushsection .rodata,\"a\",@progbits\n" \
      ".balign 64\n"                           \
      ".globl " #symbol                        \
      "\n"                                     \
      ".hidden " #symbol "\n" #symbol          \
      ":\n"                                    \
      ".incbin \"" path                        \
      "\"\n"                                   \
      ".popsection\n")

EMBED(cellar_model_words, MODEL_WORDS);
EMBED(cellar_model_rows, MODEL_ROWS);
EMBED(cellar_model_scales, MODEL_SCALES);
