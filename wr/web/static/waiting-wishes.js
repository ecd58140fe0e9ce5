/** What a visitor may wish for when it is their turn: a sound, a notification. Nothing unless asked. */

let audio = null;

/** Get ready to make a sound: browsers allow that only while somebody clicks. */
export function wishSound() {
  audio ??= new AudioContext();
  audio.resume();
}

/** Two soft tones; nothing where no sound was wished for. */
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

/** Ask to be allowed to notify; resolves to whether that is so. */
export async function wishNotification() {
  return "Notification" in globalThis && (await Notification.requestPermission()) === "granted";
}

/** Show a notification; a click on it brings the page to the front. */
export function notify(title, body) {
  try {
    const notification = new Notification(title, { body });
    notification.onclick = () => globalThis.focus();
  } catch {
    // Some phones show none for a page without a service worker; the sound and the title are there.
  }
}
