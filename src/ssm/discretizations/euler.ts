/** Forward Euler: explicit, and unstable where |1 + lambda delta| > 1. */
import { generalizedBilinear } from "./generalized-bilinear.ts";

export const euler = generalizedBilinear(0, "euler");
