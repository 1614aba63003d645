#pragma once
#include <node_api.h>

#include <string>

#include "status.h"

namespace moe {

/** What went wrong, in the four parts of MoeLabError. Thrown within binding/ and turned into a JavaScript error. */
struct BindingError {
  std::string code, what, why, fix;
};

/** The error that JavaScript sees for a Status of this function. */
BindingError errorOf(const char* function, const Status& status);

/** Throws it in JavaScript: an instance of the class given to setErrorClass, else an Error with these properties. */
void throwError(napi_env env, const BindingError& error);
/** The same object, not thrown; what a promise is rejected with. */
napi_value makeError(napi_env env, const BindingError& error);

}  // namespace moe
