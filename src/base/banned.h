/* Functions that do not compile here, with what to use instead. */
#pragma once

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#pragma GCC poison strcpy strcat strncpy strncat stpcpy // arena_str, Buf
#pragma GCC poison sprintf vsprintf gets                // snprintf, buf_printf
#pragma GCC poison strtok                               // str_split
#pragma GCC poison atoi atol atoll atof                 // str_to_int, str_to_double
#pragma GCC poison gmtime localtime ctime asctime       // base/clock.h
#pragma GCC poison tmpnam mktemp tempnam                // base/file.h
