/* An addon linked beside a new glibc asks for the newest version of each function, and an older system refuses to load
 * it. The functions below got a new version without a new meaning (glibc 2.34 moved them into libc.so). Their
 * definitions here, seen only inside the addon, also by the C++ library in it, pass each call on to the oldest version,
 * so that the addon runs wherever Node.js itself does. AddressSanitizer has to see these calls itself. */
#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__)
#include <dlfcn.h>
#include <pthread.h>

#if defined(__GLIBC__) && defined(__x86_64__)
#define MOE_OLDEST_GLIBC "GLIBC_2.2.5"
#elif defined(__GLIBC__) && defined(__aarch64__)
#define MOE_OLDEST_GLIBC "GLIBC_2.17"
#endif
#endif

#ifdef MOE_OLDEST_GLIBC
#define MOE_PASS_ON(result, name, parameters, arguments)               \
  extern "C" {                                                         \
  asm(".symver oldest_" #name ", " #name "@" MOE_OLDEST_GLIBC);        \
  result oldest_##name parameters;                                     \
  [[gnu::visibility("hidden")]] result name parameters {               \
    return oldest_##name arguments;                                    \
  }                                                                    \
  }

MOE_PASS_ON(int, pthread_create,
            (pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*), void* argument) noexcept,
            (thread, attributes, start, argument))
MOE_PASS_ON(int, pthread_join, (pthread_t thread, void** result), (thread, result))
MOE_PASS_ON(int, pthread_mutex_trylock, (pthread_mutex_t* mutex) noexcept, (mutex))
MOE_PASS_ON(int, dladdr, (const void* address, Dl_info* info) noexcept, (address, info))
MOE_PASS_ON(void*, dlopen, (const char* path, int mode) noexcept, (path, mode))

/** glibc 2.32's answer to "does only one thread run?", which the C++ library reads. "No" is always safe. */
extern "C" [[gnu::visibility("hidden")]] char __libc_single_threaded;
char __libc_single_threaded = 0;
#endif
