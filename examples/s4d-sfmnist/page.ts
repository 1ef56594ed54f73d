/** The page of s4d-sfmnist: pick or draw a picture, watch it being read pixel by pixel. */
import { picturePage } from "../shared/pictures.ts";

await picturePage({ side: 28, white: 255, transform: (u8) => (u8 / 255 - 0.286) / 0.353, brush: 2, chunk: 7 });
