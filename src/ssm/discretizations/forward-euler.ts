/** Forward Euler: explicit, and unstable where |1 + lambda delta| > 1. */
import { generalizedBilinear } from "./generalized-bilinear.ts";

export const forwardEuler = generalizedBilinear(0, "forward-euler");
