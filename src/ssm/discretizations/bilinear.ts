/** Bilinear (Tustin): maps the left half plane onto the unit disc. */
import { generalizedBilinear } from "./generalized-bilinear.ts";

export const bilinear = generalizedBilinear(0.5, "bilinear");
