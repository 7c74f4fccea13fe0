/* main.c: the program's entry; everything is in cli.c. */
#include "cli/cli.h"

int main(int n, char **args)
{
    return cli_main(n, args);
}
