import type { Place } from '../options.js';
import type { Tool } from './tool.js';
import { inputOf, result } from './tool.js';

/** A terminal does not know where it is: it tells the place that it was given. */
export function gps({ latitude, longitude }: Place): Tool {
  return {
    name: 'gps',
    schema: {
      description: 'Tells where the device is: latitude and longitude in degrees.',
      inputSchema: inputOf({}),
    },
    run: () =>
      Promise.resolve(
        result({
          latitude,
          longitude,
          accuracy_meters: 10,
          note: 'This is a fixed place that was set for this device, and no measurement.',
        }),
      ),
  };
}
