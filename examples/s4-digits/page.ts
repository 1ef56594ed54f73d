/** The page of s4-digits: pick or draw a digit, watch it being read pixel by pixel. */
import { picturePage } from "../shared/pictures.ts";

await picturePage({ side: 8, white: 16, transform: (u8) => u8 / 16, brush: 1.3, chunk: 1 });
