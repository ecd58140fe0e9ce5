/** A sound and a notification for the visitor's turn. Both are off unless the visitor turns them on. */

let audio = null;

/** Prepare the sound. Browsers allow it only in response to a click. */
export function wishSound() {
  audio ??= new AudioContext();
  audio.resume();
}

/** Play two soft tones, if the visitor turned on the sound. */
export function chime() {
  if (audio === null) return;
  for (const [pitch, delay] of [[660, 0], [880, 0.25]]) {
    const tone = audio.createOscillator();
    const loudness = audio.createGain();
    const start = audio.currentTime + delay;
    tone.frequency.value = pitch;
    loudness.gain.setValueAtTime(0, start);
    loudness.gain.linearRampToValueAtTime(0.3, start + 0.02);
    loudness.gain.exponentialRampToValueAtTime(0.001, start + 0.6);
    tone.connect(loudness).connect(audio.destination);
    tone.start(start);
    tone.stop(start + 0.6);
  }
}

/** Ask for permission to show notifications. Resolves to whether the visitor gave it. */
export async function wishNotification() {
  return "Notification" in globalThis && (await Notification.requestPermission()) === "granted";
}

/** Show a notification. A click on it brings the page to the front. */
export function notify(title, body) {
  try {
    const notification = new Notification(title, { body });
    notification.onclick = () => globalThis.focus();
  } catch {
    // Some phones show no notification for a page without a service worker. Sound and title still work.
  }
}
