/** Backward Euler: implicit, and stable for every stable pole. */
import { generalizedBilinear } from "./generalized-bilinear.ts";

export const backwardEuler = generalizedBilinear(1, "backward-euler");
