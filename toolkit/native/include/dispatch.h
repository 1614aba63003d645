#pragma once
#include <cstdint>

#include "isa.h"
#include "status.h"

/** y[i] = x[ids[i]]: x [rows, C], ids [count], y [count, C]. outOfRange if an id isn't in [0, rows); then y is
 *  unspecified. Serves dispatch (ids = slotToken) and embedding. */
MOE_KERNEL(Status, gatherRows,
           (const float* x, const int32_t* ids, int64_t rows, int64_t count, int64_t C, float* y))

/** dx [rows, C]: row r is the sum, in the order of i, of dy[i] over ids[i] = r. dy [count, C], ids [count].
 *  The bits don't depend on the number of threads. */
MOE_KERNEL(Status, gatherRowsBackward,
           (const int32_t* ids, const float* dy, int64_t rows, int64_t count, int64_t C, float* dx))

/** y[n] = Σₖ weights[n, k] · rows[tokenSlot[n, k]]: rows [S, C], weights [N, K] or null for ones, tokenSlot [N, K],
 *  −1 for a choice that adds nothing, y [N, C]. */
MOE_KERNEL(Status, combineRows,
           (const float* rows, const float* weights, const int32_t* tokenSlot, int64_t N, int64_t K, int64_t S,
            int64_t C, float* y))

/** dRows[tokenSlot[n, k]] = weights[n, k] · dy[n] and dWeights[n, k] = dy[n] · rows[tokenSlot[n, k]], 0 where tokenSlot
 *  is −1. rows and dRows [S, C]. outOfRange unless tokenSlot holds every slot once. */
MOE_KERNEL(Status, combineRowsBackward,
           (const float* rows, const float* weights, const int32_t* tokenSlot, const float* dy, int64_t N, int64_t K,
            int64_t S, int64_t C, float* dRows, float* dWeights))

/** assignment[tokenSlot[i]] = i for i in [0, count) with tokenSlot[i] ≥ 0. outOfRange unless tokenSlot holds every slot
 *  of [0, S) once and is −1 elsewhere. */
MOE_KERNEL(Status, invertSlots, (const int32_t* tokenSlot, int64_t count, int64_t S, int32_t* assignment))

/** Sorts the choices ids [N, K] by expert, those of an expert in their order; −1 is a choice of no expert.
 *  offsets [E + 1]: slots of expert e are offsets[e] ≤ s < offsets[e + 1]; slotToken [N·K]: the token of a slot, 0 from
 *  offsets[E] on, where slots are unused; tokenSlot [N, K]: the slot of a choice, −1 for none.
 *  outOfRange if an id isn't in [−1, E) or N·K isn't below 2³¹. */
MOE_KERNEL(Status, planDispatch,
           (const int32_t* ids, int64_t N, int64_t K, int64_t E, int32_t* offsets, int32_t* slotToken,
            int32_t* tokenSlot))
