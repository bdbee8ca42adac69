// Both roles of docs/noise.md by flynn/noise, and nothing of ours: flynn.ts builds it and talks with it.
//
//	flynn APPKEY SEED SECTIONS dial HOST:PORT REMOTE TOKEN SIZE PIECE   sends SIZE bytes in frames of PIECE, and wants them back
//	flynn APPKEY SEED SECTIONS listen                                        prints its port, and echoes one connection after the other
//
// All keys in hex. What becomes of a connection is a line of JSON.
package main

import (
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"strconv"

	"github.com/flynn/noise"
	"golang.org/x/crypto/blake2b"
)

const (
	maxBody      = 65519
	framesPerKey = 65536
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func unhex(text string) []byte {
	out, err := hex.DecodeString(text)
	check(err)
	return out
}

func number(text string) int {
	out, err := strconv.Atoi(text)
	check(err)
	return out
}

func say(line map[string]interface{}) {
	out, err := json.Marshal(line)
	check(err)
	fmt.Println(string(out))
}

// ---- keys ----

func reversed(in []byte) []byte {
	out := make([]byte, len(in))
	for i, b := range in {
		out[len(in)-1-i] = b
	}
	return out
}

// montgomery gives u = (1 + y) / (1 - y), whatever the sign.
func montgomery(ed []byte) []byte {
	one := big.NewInt(1)
	p := new(big.Int).Sub(new(big.Int).Lsh(one, 255), big.NewInt(19))
	y := new(big.Int).SetBytes(reversed(ed))
	y.SetBit(y, 255, 0)
	below := new(big.Int).Sub(one, y)
	below.ModInverse(below.Mod(below, p), p)
	u := new(big.Int).Add(one, y)
	u.Mul(u, below).Mod(u, p)
	return reversed(u.FillBytes(make([]byte, 32)))
}

type side struct {
	psk      []byte
	identity []byte
	static   noise.DHKey
	sections string
}

func newSide(appKey, seed []byte, sections string) side {
	hash, err := blake2b.New(32, appKey)
	check(err)
	hash.Write([]byte("effect-multiserver/noise/2/psk"))
	scalar := sha512.Sum512(seed)
	identity := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	static := noise.DHKey{Private: scalar[:32], Public: montgomery(identity)}
	return side{psk: hash.Sum(nil), identity: identity, static: static, sections: sections}
}

// handshake begins one; remote is nil for the responder.
func (own side) handshake(remote []byte) *noise.HandshakeState {
	responder := remote
	config := noise.Config{
		CipherSuite:           noise.NewCipherSuite(noise.DH25519, noise.CipherChaChaPoly, noise.HashBLAKE2b),
		Pattern:               noise.HandshakeXK,
		Initiator:             remote != nil,
		PresharedKey:          own.psk,
		PresharedKeyPlacement: 0,
		StaticKeypair:         own.static,
	}
	if remote == nil {
		responder = own.identity
	} else {
		config.PeerStatic = montgomery(remote)
	}
	config.Prologue = append([]byte("effect-multiserver/noise/2\x00"), responder...)
	config.Prologue = append(config.Prologue, own.sections...)
	state, err := noise.NewHandshakeState(config)
	check(err)
	return state
}

// ---- frames ----

type direction struct {
	cipher *noise.CipherState
	frames int
}

func (d *direction) next() {
	d.frames++
	if d.frames%framesPerKey == 0 {
		d.cipher.Rekey()
	}
}

func (d *direction) end(to io.Writer) error {
	head, err := d.cipher.Encrypt(nil, nil, []byte{0, 0})
	if err != nil {
		return err
	}
	_, err = to.Write(head)
	return err
}

func (d *direction) write(to io.Writer, body []byte) error {
	length := make([]byte, 2)
	binary.BigEndian.PutUint16(length, uint16(len(body)))
	frame, err := d.cipher.Encrypt(nil, nil, length)
	if err != nil {
		return err
	}
	frame, err = d.cipher.Encrypt(frame, nil, body)
	if err != nil {
		return err
	}
	d.next()
	_, err = to.Write(frame)
	return err
}

// read gives one body, or io.EOF at the authenticated end.
func (d *direction) read(from io.Reader) ([]byte, error) {
	head := make([]byte, 18)
	if _, err := io.ReadFull(from, head); err != nil {
		return nil, fmt.Errorf("no end: %v", err)
	}
	plain, err := d.cipher.Decrypt(nil, nil, head)
	if err != nil {
		return nil, err
	}
	length := int(binary.BigEndian.Uint16(plain))
	if length == 0 {
		return nil, io.EOF
	}
	if length > maxBody {
		return nil, errors.New("a frame that is too long")
	}
	sealed := make([]byte, length+16)
	if _, err := io.ReadFull(from, sealed); err != nil {
		return nil, err
	}
	body, err := d.cipher.Decrypt(nil, nil, sealed)
	if err == nil {
		d.next()
	}
	return body, err
}

// ---- roles ----

func message(from io.Reader, length int) ([]byte, error) {
	out := make([]byte, length)
	_, err := io.ReadFull(from, out)
	return out, err
}

func pattern(size int) []byte {
	out := make([]byte, size)
	for i := range out {
		out[i] = byte((7*i + 3) % 251)
	}
	return out
}

func dial(own side, address string, remote, token []byte, size, piece int) {
	socket, err := net.Dial("tcp", address)
	check(err)
	defer socket.Close()
	state := own.handshake(remote)
	hello, _, _, err := state.WriteMessage(nil, nil)
	check(err)
	_, err = socket.Write(hello)
	check(err)
	challenge, err := message(socket, 48)
	check(err)
	_, _, _, err = state.ReadMessage(nil, challenge)
	check(err)
	auth, there, back, err := state.WriteMessage(nil, append(append([]byte{}, own.identity...), token...))
	check(err)
	_, err = socket.Write(auth)
	check(err)
	to, from := direction{cipher: there}, direction{cipher: back}
	accept, err := from.read(socket)
	check(err)
	if len(accept) != 1 || accept[0] != 0 {
		check(errors.New("that is no accept"))
	}
	body := pattern(size)
	sent := make(chan error, 1)
	go func() {
		for at := 0; at < size; at += piece {
			until := at + piece
			if until > size {
				until = size
			}
			if err := to.write(socket, body[at:until]); err != nil {
				sent <- err
				return
			}
		}
		sent <- to.end(socket)
	}()
	heard := []byte{}
	for {
		part, err := from.read(socket)
		if err == io.EOF {
			break
		}
		check(err)
		heard = append(heard, part...)
	}
	check(<-sent)
	say(map[string]interface{}{
		"same":   string(heard) == string(body),
		"frames": to.frames,
		"hash":   hex.EncodeToString(state.ChannelBinding()),
	})
}

func serve(own side, socket net.Conn) error {
	defer socket.Close()
	state := own.handshake(nil)
	hello, err := message(socket, 48)
	if err != nil {
		return err
	}
	if _, _, _, err = state.ReadMessage(nil, hello); err != nil {
		return err
	}
	challenge, _, _, err := state.WriteMessage(nil, nil)
	if err != nil {
		return err
	}
	if _, err = socket.Write(challenge); err != nil {
		return err
	}
	auth, err := message(socket, 128)
	if err != nil {
		return err
	}
	payload, there, back, err := state.ReadMessage(nil, auth)
	if err != nil {
		return err
	}
	from, to := direction{cipher: there}, direction{cipher: back}
	if string(montgomery(payload[:32])) != string(state.PeerStatic()) {
		return errors.New("its key is not the one that it proved")
	}
	if err := to.write(socket, []byte{0}); err != nil {
		return err
	}
	for {
		body, err := from.read(socket)
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if err := to.write(socket, body); err != nil {
			return err
		}
	}
	if err := to.end(socket); err != nil {
		return err
	}
	say(map[string]interface{}{
		"payload": hex.EncodeToString(payload),
		"frames":  from.frames,
		"hash":    hex.EncodeToString(state.ChannelBinding()),
	})
	return nil
}

func main() {
	args := os.Args[1:]
	own := newSide(unhex(args[0]), unhex(args[1]), args[2])
	if args[3] == "dial" {
		dial(own, args[4], unhex(args[5]), unhex(args[6]), number(args[7]), number(args[8]))
		return
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	say(map[string]interface{}{"port": listener.Addr().(*net.TCPAddr).Port})
	for {
		socket, err := listener.Accept()
		check(err)
		if err := serve(own, socket); err != nil {
			say(map[string]interface{}{"error": err.Error()})
		}
	}
}
