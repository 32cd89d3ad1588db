import { encodePng } from './png.js';
import type { Tool } from './tool.js';
import { inputOf, result } from './tool.js';

const SIZE = 64;

/** A terminal has no camera: its picture is drawn, and the result says so. */
export const camera: Tool = {
  name: 'camera',
  schema: {
    description: 'Takes a picture with the camera of the device.',
    inputSchema: inputOf({}),
  },
  run: () => {
    const picture = encodePng(SIZE, SIZE, (x, y) => [4 * x, 4 * y, 160]);
    return Promise.resolve(
      result({
        content: [
          { type: 'image', data: picture.toString('base64'), mimeType: 'image/png' },
          {
            type: 'text',
            text:
              `A drawn picture of ${SIZE} by ${SIZE} pixels, a gradient from blue to yellow: ` +
              'this device has no camera.',
          },
        ],
      }),
    );
  },
};
