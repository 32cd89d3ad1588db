/** Tells once when nothing was heard for `ms`. */
export class Silence {
  private readonly timer: NodeJS.Timeout;

  constructor(ms: number, onSilence: () => void) {
    this.timer = setTimeout(onSilence, ms);
  }

  heard(): void {
    this.timer.refresh();
  }

  end(): void {
    clearTimeout(this.timer);
  }
}
