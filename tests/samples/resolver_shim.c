/* Has a program that asks DNS through glibc ask the server at NAMESERVER_PORT of this machine. For LD_PRELOAD. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <resolv.h>
#include <stdlib.h>

#undef res_ninit

int __res_ninit(res_state state)
{
    int (*real)(res_state) = (int (*)(res_state))dlsym(RTLD_NEXT, "__res_ninit");
    int result = real(state);

    state->nscount = 1;
    state->nsaddr_list[0].sin_family = AF_INET;
    state->nsaddr_list[0].sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    state->nsaddr_list[0].sin_port = htons((unsigned short)atoi(getenv("NAMESERVER_PORT")));
    return result;
}
